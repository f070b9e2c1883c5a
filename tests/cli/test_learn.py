"""`bridge learn`: a touch becomes a mapping in config.toml, and the rest of the file stays as it is."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge import config
from bridge.cli import learn as learning
from bridge.cli.learn import NextTold, learn
from bridge.config import Settings
from bridge.errors import BridgeError, ConfigError, NoMidi, WrongUse
from bridge.midi.messages import Configure, Heard, Ports, Told, Trouble

Captured = pytest.CaptureFixture[str]
PAD = (0x99, 36, 101)
PORT = "Launchpad X:Launchpad X LPX MIDI In"
THERE = Ports("alsa", inputs=(PORT,), listening=(PORT,))


class Ears:
    """A MIDI process that says one thing after the other."""

    def __init__(self, *told: Told | Sequence[int]) -> None:
        self.told = [one if not isinstance(one, tuple) else Heard(PORT, one, 0.0) for one in told]
        self.settings: Configure | None = None
        self.closed = False
        self.meanwhile: Callable[[], object] = lambda: None

    @contextmanager
    def __call__(self, settings: Configure) -> Iterator[NextTold]:
        self.settings = settings
        left = iter(self.told)

        def next_told(timeout_s: float) -> Told | None:
            told = next(left, None)
            assert told is not None, "nobody touches anything any more"
            self.meanwhile()
            return told  # type: ignore[return-value]

        try:
            yield next_told
        finally:
            self.closed = True


def settings_in(home: Path) -> Settings:
    return config.load(home, {})


def write(home: Path, text: str) -> Path:
    path = home / "config.toml"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("action", "texts", "words"),
    [
        ("convert-latest", ["preset=stem"], "no preset 'stem'"),
        ("stream", ["when=soon"], "'when' must be one of now, beat, bar, armed"),
        ("slot", ["slot=0"], "'slot' must be a number from 1 to 128"),
    ],
)
def test_what_can_never_be_is_said_before_anybody_touches_a_pad(
    bridge_home: Path, action: str, texts: list[str], words: str
) -> None:
    ears = Ears()
    with pytest.raises(BridgeError, match=words):
        learn(action, texts, listen=ears)
    assert (ears.settings, bridge_home.joinpath("config.toml").exists()) == (None, False)


def test_with_midi_turned_off_there_is_nothing_to_touch(bridge_home: Path) -> None:
    write(bridge_home, "midi.enabled = false\n")
    with pytest.raises(NoMidi, match="turned off"):
        learn("stop", [], listen=Ears())


def test_the_bridges_own_ports_are_no_controllers(bridge_home: Path, capsys: Captured) -> None:
    own = "DAW Bridge:DAW Bridge"
    assert (
        learn(
            "stop",
            [],
            listen=Ears(Ports("jack", listening=(own,)), Ports("jack", listening=(PORT, own)), PAD),
        )
        == 0
    )
    err = capsys.readouterr().err
    assert "No controller is there yet" in err
    assert f"on {PORT} …" in err
    assert own not in err


def test_the_touched_pad_does_it_from_now_on(bridge_home: Path, capsys: Captured) -> None:
    ears = Ears(THERE, PAD)
    texts = ["preset=stems", "set.lowest_note=40"]
    assert learn("convert-latest", texts, press="long", listen=ears) == 0
    (pad,) = settings_in(bridge_home).pads
    assert (pad.message, pad.port, pad.channel, pad.press) == ("note 36", PORT, 10, "long")
    assert (pad.action, pad.with_) == ("convert_latest", {"preset": "stems", "set": {"lowest_note": 40}})
    out, err = capsys.readouterr()
    assert "note 36, pressed with 101 on channel 10" in out
    assert "It does convert-latest preset=stems" in out
    assert PORT in err
    assert "next `bridge run`" in err
    assert ears.closed


def test_without_a_file_it_begins_with_the_template(bridge_home: Path) -> None:
    learn("panic", [], listen=Ears(THERE, PAD))
    text = (bridge_home / "config.toml").read_text(encoding="utf-8")
    assert text.startswith(config.template().rstrip())
    assert settings_in(bridge_home).folders == config.default_folders()
    assert len(settings_in(bridge_home).pads) == 1


MINE = """\
# my settings
log_level = "debug"   # for now

[[pads]]   # the first
message = "note 36"  # bottom left
action = "convert_latest"   # it was stems
# what it does
with = { preset = "bass" }
pass_on = true

# the second
[[pads]]
message = "cc 20"
action = "panic"

[midi]
# nothing yet
"""


def test_everything_else_in_the_file_stays_as_it_is(bridge_home: Path) -> None:
    path = write(bridge_home, MINE)
    learn("panic", [], listen=Ears(THERE, (0x90, 40, 1)))
    assert path.read_text() == (
        f'{MINE}\n[[pads]]\nmessage = "note 40"\nport = "{PORT}"\nchannel = 1\naction = "panic"\n'
    )


def test_windows_line_ends_and_a_byte_order_mark_stay(bridge_home: Path) -> None:
    path = write(bridge_home, "\ufeff" + MINE.replace("\n", "\r\n"))
    learn("panic", [], listen=Ears(THERE, (0x90, 40, 1)))
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf# my settings\r\n")
    assert data.count(b"\n") == data.count(b"\r\n")
    assert len(settings_in(bridge_home).pads) == 3


def test_what_is_on_the_pad_already_is_replaced_if_that_is_wished(bridge_home: Path) -> None:
    path = write(bridge_home, MINE)
    learn("tempo", ["bpm=98"], replace=True, listen=Ears(THERE, PAD))
    assert path.read_text() == MINE.replace('"convert_latest"', '"tempo"').replace(
        '{ preset = "bass" }', "{bpm = 98}"
    )
    learn("panic", [], replace=True, listen=Ears(THERE, PAD))
    first, second = settings_in(bridge_home).pads
    assert (first.action, first.with_, first.pass_on, first.port) == ("panic", {}, True, "*")
    assert second.message == "cc 20"
    assert all(comment in path.read_text() for comment in ("# the first", "# bottom left", "# the second"))


def test_else_it_is_said_and_the_pad_does_both(bridge_home: Path, capsys: Captured) -> None:
    write(bridge_home, MINE)
    learn("panic", [], listen=Ears(THERE, PAD))
    assert [pad.action for pad in settings_in(bridge_home).pads] == ["convert_latest", "panic", "panic"]
    assert "does something already (convert_latest); it does both now" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "actions"), [(True, ["panic", "panic"]), (False, None)])
def test_on_a_terminal_one_is_asked(
    bridge_home: Path, monkeypatch: pytest.MonkeyPatch, answer: bool, actions: list[str] | None
) -> None:
    write(bridge_home, MINE)
    monkeypatch.setattr("bridge.cli.output.is_terminal", lambda: True)
    monkeypatch.setattr("bridge.cli.output.confirm", lambda question: answer)
    learn("panic", [], listen=Ears(THERE, PAD))
    wanted = actions or ["convert_latest", "panic", "panic"]
    assert [pad.action for pad in settings_in(bridge_home).pads] == wanted


def test_another_press_of_the_same_pad_is_another_mapping(bridge_home: Path, capsys: Captured) -> None:
    write(bridge_home, MINE)
    learn("panic", [], press="double", listen=Ears(THERE, PAD))
    assert len(settings_in(bridge_home).pads) == 3
    assert "already" not in capsys.readouterr().err


def test_a_mapping_for_other_channels_or_ports_is_left_alone(bridge_home: Path) -> None:
    write(
        bridge_home,
        '[[pads]]\nmessage = "note 36"\nchannel = 3\naction = "stop"\n'
        '[[pads]]\nmessage = "note 36"\nport = "nano"\naction = "stop"\n',
    )
    learn("panic", [], replace=True, listen=Ears(THERE, PAD))
    assert [pad.action for pad in settings_in(bridge_home).pads] == ["stop", "stop", "panic"]


def test_two_mappings_on_one_press_are_not_replaced_by_guessing(bridge_home: Path) -> None:
    path = write(bridge_home, MINE + '[[pads]]\nmessage = "note 36"\naction = "stop"\n')
    before = path.read_bytes()
    with pytest.raises(WrongUse, match=r"2 mappings are on this press \(pads\[1\], pads\[3\]\)"):
        learn("panic", [], replace=True, listen=Ears(THERE, PAD))
    assert path.read_bytes() == before


def test_what_cannot_be_edited_without_a_loss_is_left_to_the_musician(bridge_home: Path) -> None:
    text = (
        '[[pads]]\nmessage = "note 36"\naction = "stop"\n[pads.with]\njob = 1\n'
        "[[pads.variants]]\nup_to = 3\n# about the next\n[midi]\n"
    )
    path = write(bridge_home, text)
    with pytest.raises(ConfigError) as caught:
        learn("panic", [], replace=True, listen=Ears(THERE, PAD))
    assert 'in place of pads[1]:\n\n[[pads]]\nmessage = "note 36"' in caught.value.remedy
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('pads = [{ message = "cc 1", action = "stop" }]\n', None),
        ('pads = [\n  { message = "cc 1", action = "stop" }, # one\n  # end\n]\n[midi]\n', "# end"),
        ("pads = []\n# x\n[midi]\n", "# x"),
        ('[[pads]]\nmessage = "cc 1"\naction = "stop"\n[pads.with]\njob = 1', None),
        ("", None),
        ("# only a comment", "# only a comment"),
    ],
)
def test_however_the_file_is_written_a_mapping_can_be_added(
    bridge_home: Path, text: str, after: str | None
) -> None:
    path = write(bridge_home, text)
    before = settings_in(bridge_home).pads
    learn("panic", [], listen=Ears(THERE, PAD))
    pads = settings_in(bridge_home).pads
    assert pads[:-1] == before
    assert pads[-1].message == "note 36"
    assert after is None or after in path.read_text()


def test_a_file_with_faults_is_told_before_anybody_touches_a_pad(bridge_home: Path) -> None:
    path = write(bridge_home, "log_level = 'loud'\n")
    ears = Ears(THERE, PAD)
    with pytest.raises(ConfigError, match="log_level"):
        learn("panic", [], listen=ears)
    assert ears.settings is None
    assert path.read_text() == "log_level = 'loud'\n"


def test_a_file_that_is_spoilt_meanwhile_is_not_made_worse(bridge_home: Path) -> None:
    path = write(bridge_home, MINE)
    ears = Ears(THERE, PAD)
    ears.meanwhile = lambda: path.write_text("[[pads", encoding="utf-8")
    with pytest.raises(ConfigError, match="TOML"):
        learn("panic", [], listen=ears)
    assert path.read_text() == "[[pads"
    assert [one.name for one in bridge_home.iterdir() if one.name != "models"] == ["config.toml"]


def test_what_was_edited_meanwhile_stays(bridge_home: Path) -> None:
    path = write(bridge_home, "")
    ears = Ears(THERE, PAD)
    ears.meanwhile = lambda: path.write_text("log_level = 'debug'\n", encoding="utf-8")
    learn("panic", [], listen=ears)
    assert settings_in(bridge_home).log_level == "debug"


@pytest.mark.skipif(os.name != "posix", reason="modes and links as they are there")
def test_a_link_stays_a_link_and_rights_stay(bridge_home: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text(MINE)
    real.chmod(0o640)
    (bridge_home / "config.toml").symlink_to(real)
    learn("panic", [], listen=Ears(THERE, (0x90, 1, 1)))
    assert (bridge_home / "config.toml").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert len(settings_in(bridge_home).pads) == 3


def test_a_full_disk_is_told_and_the_file_is_as_it_was(
    bridge_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = write(bridge_home, MINE)
    monkeypatch.setattr("bridge.cli.config_file.os.fsync", no_room)
    with pytest.raises(ConfigError, match=r"cannot be written: .*No space left"):
        learn("panic", [], listen=Ears(THERE, PAD))
    assert path.read_text() == MINE
    assert sorted(one.name for one in bridge_home.iterdir()) == ["config.toml", "models"]


def test_as_data(bridge_home: Path, capsys: Captured) -> None:
    learn("panic", [], port="LPX", as_json=True, listen=Ears(THERE, PAD))
    data = json.loads(capsys.readouterr().out)
    assert data["pad"] == {"message": "note 36", "port": "LPX", "channel": 10, "action": "panic"}
    assert data["replaced"] is False
    assert data["file"] == str(bridge_home / "config.toml")


@pytest.mark.parametrize(
    ("action", "texts", "press", "words"),
    [
        ("convert-latests", [], "press", "convert_latest"),
        ("panic", ["job=1"], "press", "does not know 'job'"),
        ("tempo", [], "press", "needs 'bpm'"),
        ("panic", [], "soft", "no 'soft' press"),
        ("panic", ["nonsense"], "press", "nonsense"),
    ],
)
def test_what_cannot_be_mapped_is_told_at_once(
    bridge_home: Path, action: str, texts: list[str], press: str, words: str
) -> None:
    ears = Ears(THERE, PAD)
    with pytest.raises(WrongUse) as caught:
        learn(action, texts, press=press, listen=ears)
    assert words in str(caught.value)
    assert ears.settings is None


def test_what_cannot_be_held_has_no_long_press(bridge_home: Path) -> None:
    with pytest.raises(WrongUse, match="'program 5' cannot be held"):
        learn("panic", [], press="long", listen=Ears(THERE, (0xC0, 5)))
    assert not (bridge_home / "config.toml").exists()


def test_without_midi_it_says_why(bridge_home: Path) -> None:
    with pytest.raises(NoMidi, match="no server"):
        learn("panic", [], listen=Ears(Ports("", "no server", "Start it.")))


def test_without_a_controller_it_waits_for_one(bridge_home: Path, capsys: Captured) -> None:
    ears = Ears(Ports("alsa"), Trouble("It is busy.", "Close the other."), THERE, THERE, PAD)
    learn("panic", [], listen=ears)
    err = capsys.readouterr().err
    assert err.count("Touch the pad") == 1
    assert err.index("Plug it in") < err.index("It is busy. Close the other.") < err.index("Touch the pad")


def test_what_the_bridge_itself_plays_is_no_touch(bridge_home: Path) -> None:
    learn("panic", [], listen=Ears(THERE, Heard("DAW Bridge", (0x90, 1, 1), 0.0), PAD))
    assert settings_in(bridge_home).pads[0].message == "note 36"


class Daemon:
    is_daemon = True

    def __init__(self, error: BridgeError | None = None) -> None:
        self.error = error
        self.acted: list[str] = []

    def act(self, name: str, arguments: object) -> dict[str, object]:
        self.acted.append(name)
        if self.error:
            raise self.error
        return {}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, "The running bridge has taken it up"),
        (BridgeError("it is busy."), "Start the bridge again"),
    ],
)
def test_a_running_bridge_takes_it_up(
    bridge_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    error: BridgeError | None,
    words: str,
) -> None:
    daemon = Daemon(error)
    monkeypatch.setattr(learning, "daemon_at", lambda home: daemon)
    ears = Ears(THERE, PAD)
    learn("panic", [], listen=ears)
    assert daemon.acted == ["reload_controls"]
    assert words in capsys.readouterr().err
    assert ears.settings is not None
    assert ears.settings.pads == ()  # the running one has brought controllers into their state


def test_it_listens_as_the_bridge_would_and_plays_nothing(bridge_home: Path) -> None:
    write(bridge_home, '[midi]\ninputs = ["A"]\noutputs = ["B"]\nthrough = true\nbackend = "jack"\n')
    ears = Ears(THERE, PAD)
    learn("panic", [], listen=ears)
    told = ears.settings
    assert told is not None
    assert (told.port, told.inputs, told.outputs, told.through) == ("", ("A",), (), False)
    assert told.backend == "jack"
    assert len(told.pads) == 256  # so that controllers are as they will be
    learn("stop", [], port="nano", listen=(ears := Ears(THERE, PAD)))
    assert ears.settings is not None
    assert ears.settings.inputs == ("nano",)
