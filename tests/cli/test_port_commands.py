"""`bridge ports` and `bridge latency`, with a MIDI process that says what a test says."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.cli import ports
from bridge.errors import NoMidi
from bridge.midi import messages
from bridge.midi.messages import ClockTold, Configure, Heard, Measured, Ports, Told, Trouble

THERE = Ports(
    "jack", inputs=("Pads", "DAW Bridge:DAW Bridge"), outputs=("Synth", "Pads"), listening=("Pads",)
)


class Script:
    """Tells one thing after the other; at the end the musician presses Ctrl-C."""

    def __init__(self, *told: Told) -> None:
        self.told = deque(told)
        self.commands: list[messages.Command] = []
        self.settings: Configure | None = None

    @contextmanager
    def look(self, settings: Configure) -> Iterator[Script]:
        self.settings = settings
        yield self

    def tell(self, command: messages.Command) -> None:
        self.commands.append(command)

    def next(self, timeout_s: float) -> Told | None:
        if not self.told:
            raise KeyboardInterrupt
        return self.told.popleft()


@pytest.fixture(autouse=True)
def settings(bridge_home: Path) -> None:
    (bridge_home / "config.toml").write_text('[midi]\noutputs = ["synth"]\n', encoding="utf-8")


def test_ports_are_listed_with_what_the_settings_make_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert ports.ports(watch=False, as_json=False, look=Script(THERE).look) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [
        ["input", "Pads", "listened", "to"],
        ["input", "DAW", "Bridge:DAW", "Bridge", "our", "own"],
        ["output", "Synth", "played", "to"],
        ["output", "Pads"],
    ]


def test_as_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    ports.ports(watch=False, as_json=True, look=Script(THERE).look)
    data = json.loads(capsys.readouterr().out)
    assert data["system"] == "jack"
    assert data["ports"][0] == {"direction": "input", "name": "Pads", "use": "listened to"}


def test_where_there_is_no_midi_it_says_why_and_what_to_do() -> None:
    script = Script(Ports("", "There is no MIDI here.", "Start JACK."))
    with pytest.raises(NoMidi) as caught:
        ports.ports(watch=False, as_json=False, look=script.look)
    assert caught.value.remedy == "Start JACK."


def test_what_comes_in_is_shown_in_words_until_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    script = Script(
        THERE,
        Heard("Pads", (0x99, 36, 100), 1.0),
        ClockTold("internal", False, 120.0, 0.0, "4/4", 0.0),
        ClockTold("DAW", True, 97.96, 0.0, "4/4", 0.0),
        Trouble("“Keys” could not be opened: it is in use.", "Perhaps another program holds it."),
    )
    assert ports.ports(watch=True, as_json=False, look=script.look) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Pads: note 36 (C1) on, velocity 100, channel 10",
        "DAW: clock runs at 98.0 BPM",
        "“Keys” could not be opened: it is in use. Perhaps another program holds it.",
    ]
    assert script.commands == [messages.Watch(on=True)]


def test_what_comes_in_as_json_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    script = Script(THERE, Heard("Pads", (0xFA,), 1.0))
    ports.ports(watch=True, as_json=True, look=script.look)
    assert json.loads(capsys.readouterr().out) == {"port": "Pads", "data": [250], "words": "start"}


def test_a_loop_is_told_with_the_setting_that_makes_up_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    times = tuple(4.0 + 0.01 * number for number in range(101))
    script = Script(THERE, Measured("Synth", "Pads", times, lost=2))
    assert ports.latency("Synth", "Pads", count=103, as_json=False, look=script.look) == 0
    said = capsys.readouterr()
    assert "median 4.5 ms, 95 % within 5.0 ms, jitter 0.9 ms" in said.out
    assert "2 did not come back" in said.out
    assert '"Synth" = 2.2' in said.err
    assert script.commands == [messages.Measure("Synth", "Pads", 103)]
    assert script.settings is not None
    assert script.settings.inputs == ()


def test_without_a_loop_it_says_how_to_make_one() -> None:
    script = Script(THERE, Measured("Synth", "Synth", why="nothing came back"))
    with pytest.raises(NoMidi) as caught:
        ports.latency("Synth", count=10, as_json=False, look=script.look)
    assert "cable" in caught.value.remedy


def test_a_real_look_makes_no_port_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "no-such-server-of-tests")
    with ports.looking(Configure(backend="jack", outputs=("*",), through=True)) as process:
        told = next(one for one in iter(lambda: process.next(10), None) if isinstance(one, Ports))
    assert (told.api, told.virtual) == ("", ())
