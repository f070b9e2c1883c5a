"""Actions on what plays, on the clock, and on the preset and the slots at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.actions import DEFAULT_PRESET, perform
from bridge.errors import NoMidi, WrongUse
from bridge.jobs.model import ConversionState, Fingerprint, JobRequest
from bridge.midi.messages import Halt, Loop, Panic, Tap, Tempo, Transport
from support.desk import Desk

C = ConversionState
USUAL = {"when": "bar", "follow": "launch", "loop": False, "port": ""}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.journal.close()


def done_job(desk: Desk, *roles: str) -> int:
    """A job that has ended, with notes under these roles."""
    path = desk.folder / "take.wav"
    path.write_bytes(b"RIFF")
    job = desk.submit(JobRequest(path, Fingerprint.of(path), DEFAULT_PRESET, desk.folder, trigger="hand"))
    detail = desk.journal.detail(job)
    assert detail is not None
    desk.journal.move_conversion(detail.conversions[0].id, C.QUEUED, C.DONE)
    desk.notes[job] = dict.fromkeys(roles, "plays at the next bar")
    return job


def test_the_latest_job_with_notes_is_played(desk: Desk) -> None:
    first = done_job(desk, "midi")
    done_job(desk)
    assert perform(desk, "stream", {}) == {
        "job": first,
        "playing": [f"{first}/midi"],
        "note": "plays at the next bar",
    }
    assert desk.played == [(first, "", USUAL)]


def test_how_it_is_played_is_said(desk: Desk) -> None:
    job = done_job(desk, "midi", "bass")
    arguments = {"job": job, "role": "bass", "when": "beat", "count": 2, "loop": "true", "transpose": "-12"}
    perform(desk, "stream", {**arguments, "channel": 3, "port": "Synth*", "follow": "song"})
    assert desk.played == [
        (
            job,
            "bass",
            {
                "when": "beat",
                "count": 2,
                "loop": True,
                "transpose": -12,
                "channels": {"*": 3},
                "port": "Synth*",
                "follow": "song",
            },
        )
    ]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"when": "sometime"}, "one of now, beat, bar, armed"),
        ({"count": 0}, "from 1 to 64"),
        ({"transpose": "high"}, "from -48 to 48"),
        ({"channel": 17}, "from 1 to 16"),
        ({"follow": "me"}, "launch, song"),
        ({"slot": 4}, "slot 4 is empty"),
        ({"slot": 0}, "from 1 to 128"),
        ({"job": 99}, "no job 99"),
        ({}, "no notes to play yet"),
    ],
)
def test_what_cannot_be_played_is_said(desk: Desk, arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(WrongUse, match=word):
        perform(desk, "stream", arguments)
    assert desk.played == []


def test_a_job_without_notes_says_so(desk: Desk) -> None:
    job = done_job(desk)
    with pytest.raises(WrongUse, match=f"job {job} has no notes") as caught:
        perform(desk, "stream", {"job": job})
    assert "audio_to_midi" in caught.value.remedy


def test_a_pad_is_one_slot_that_fills_starts_stops_and_empties(desk: Desk) -> None:
    job = done_job(desk, "midi")
    perform(desk, "slot", {"slot": 3})
    assert desk.surface.slots == {3: job}
    assert desk.played[-1] == (job, "", {**USUAL, "when": "armed"})

    done_job(desk, "midi")  # a later result leaves the slot alone
    assert perform(desk, "slot", {"slot": 3})["job"] == job
    assert desk.played[-1] == (job, "", USUAL)

    desk.surface.states = {f"{job}/midi": "playing", "77/midi": "armed"}
    assert perform(desk, "slot", {"slot": 3})["note"] == "stopped"
    assert desk.surface.told == [Halt(str(job))]

    desk.surface.states = {}
    perform(desk, "stop", {"slot": 3})
    perform(desk, "slot", {"slot": 3, "clear": True})
    assert desk.surface.slots == {}
    assert desk.surface.told[1:] == [Halt(str(job)), Halt(str(job))]


def test_what_another_slot_holds_goes_on_when_one_is_emptied(desk: Desk) -> None:
    job = done_job(desk, "midi")
    desk.surface.slots = {1: job, 2: job}
    perform(desk, "slot", {"slot": 2, "clear": True})
    assert (desk.surface.slots, desk.surface.told) == ({1: job}, [])
    perform(desk, "slot", {"slot": 1, "clear": True})
    assert desk.surface.told == [Halt(str(job))]


def test_what_plays_goes_on_when_it_is_put_into_a_slot(desk: Desk) -> None:
    job = done_job(desk, "midi")
    desk.surface.states = {f"{job}/midi": "playing"}
    assert perform(desk, "slot", {"slot": 1})["note"] == "plays already"
    assert (desk.surface.slots, desk.played) == ({1: job}, [])


def test_clock_and_silence(desk: Desk) -> None:
    job = done_job(desk, "midi")
    perform(desk, "stop", {})
    perform(desk, "stop", {"job": job})
    perform(desk, "loop", {"on": False})
    perform(desk, "loop", {"job": job})
    perform(desk, "panic", {})
    perform(desk, "tap_tempo", {})
    perform(desk, "tap-tempo", {"at_s": 12.5})
    perform(desk, "tempo", {"bpm": "128.5"})
    perform(desk, "transport", {"do": "stop"})
    perform(desk, "transport", {"beat": 16})
    assert desk.surface.told == [
        *(Halt(), Halt(str(job)), Loop("", on=False), Loop(str(job), on=None), Panic()),
        *(Tap(None), Tap(12.5), Tempo(128.5), Transport("stop"), Transport("start", 16.0)),
    ]


@pytest.mark.parametrize(
    ("action", "arguments", "word"),
    [
        ("tempo", {"bpm": 5}, "from 20 to 400"),
        ("tempo", {"bpm": True}, "from 20 to 400"),
        ("tempo", {}, "needs 'bpm'"),
        ("transport", {"do": "jump"}, "start, stop, continue"),
        ("transport", {"beat": -1}, "from 0"),
        ("loop", {"on": "maybe"}, "true or false"),
    ],
)
def test_what_the_clock_cannot_do(desk: Desk, action: str, arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(WrongUse, match=word):
        perform(desk, action, arguments)
    assert desk.surface.told == []


@pytest.mark.parametrize("action", ["stream", "slot"])
def test_what_is_not_played_is_an_error_that_a_pad_can_show(desk: Desk, action: str) -> None:
    job = done_job(desk)
    desk.notes[job] = {"midi": "not played: there is no MIDI port"}
    with pytest.raises(NoMidi, match=f"job {job} is not played: there is no MIDI port"):
        perform(desk, action, {"slot": 1} if action == "slot" else {})
    assert desk.surface.slots == {}


def test_next_and_previous_go_through_the_row_of_the_settings(desk: Desk) -> None:
    desk.surface.row = ["less-noise", DEFAULT_PRESET, "stems"]
    names = [perform(desk, "next_preset", {})["preset"] for _ in range(3)]
    assert names == ["stems", "less-noise", DEFAULT_PRESET]
    assert perform(desk, "previous_preset", {})["preset"] == "less-noise"
    assert perform(desk, "previous_preset", {})["preset"] == "stems"


def test_without_a_row_it_goes_through_all_that_begin_with_audio(desk: Desk) -> None:
    seen = set()
    for _ in range(60):
        seen.add(perform(desk, "next_preset", {})["preset"])
    assert {"stems", "less-noise", DEFAULT_PRESET} <= seen
    assert "song-from-words" not in seen
    assert not {"change-speed", "voice-swap", "remix"} & seen, "these need to be told something"
    assert "speech" not in seen


def test_the_preset_at_hand_is_what_the_latest_bounce_gets(desk: Desk) -> None:
    done_job(desk, "midi")
    perform(desk, "select_preset", {"preset": "stems"})
    perform(desk, "convert_latest", {"trigger": "pad note 36"})
    assert (desk.requests[-1].preset, desk.requests[-1].as_known) == ("stems", True)
    perform(desk, "convert_latest", {"preset": "less-noise"})
    assert (desk.requests[-1].preset, desk.requests[-1].as_known) == ("less-noise", False)
    perform(desk, "convert_latest", {"conversion": "denoise"})
    assert desk.requests[-1].preset == "@denoise"


def test_controls_are_taken_up_anew(desk: Desk) -> None:
    assert perform(desk, "reload_controls", {}) == {"controls": 3}
    assert desk.surface.reloads == 1
