"""`bridge demo`: plays a loop, bounces it as a DAW would, and compares the MIDI with what was played.

Nothing is faked: a daemon of its own (`bridge run`, another process) watches a folder of its own; the loop is
written there in pieces, with a header that is right only at the end, as DAWs do; and what is compared is the
MIDI file in the project folder. Only the models are the musician's own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bridge.cli import output
from bridge.cli.connection import DaemonConnection, daemon_at
from bridge.engine.models import ModelStore
from bridge.errors import BridgeError
from bridge.home import home
from bridge.media.midi_files import smf_to_notes
from bridge.media.notes import Note

RATE_HZ = 44_100
WRITE_S = 2.0
PIECES = 20
START_WITHIN_S = 30.0
DELIVER_WITHIN_S = 60.0
STOP_WITHIN_S = 5.0
LOOK_S = 0.005
TOLERANCE_S = 0.05
"""How far an onset may be off: the usual measure (MIREX, "Multiple Fundamental Frequency Estimation")."""
GOOD_F1 = 0.9
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

Pair = tuple[Note | None, Note | None]


@dataclass(frozen=True)
class Score:
    """How well the found notes are those that were played; all in 0..1."""

    precision: float
    recall: float
    f1: float


def matched(played: Sequence[Note], found: Sequence[Note], *, tolerance_s: float) -> list[Pair]:
    """Pairs of (played, found) with one pitch and onsets within `tolerance_s`, each note in one pair at most.

    Unpaired notes come with None; all in order of time. Per pitch both are in order of time, so giving each
    played note the earliest that is left makes as many pairs as there can be.
    """
    pairs: list[Pair] = []
    for pitch in sorted({note.pitch for note in (*played, *found)}):
        left = sorted((note for note in found if note.pitch == pitch), key=lambda note: note.start_s)
        for note in sorted((note for note in played if note.pitch == pitch), key=lambda one: one.start_s):
            while left and left[0].start_s < note.start_s - tolerance_s:
                pairs.append((None, left.pop(0)))
            near = bool(left) and left[0].start_s <= note.start_s + tolerance_s
            pairs.append((note, left.pop(0) if near else None))
        pairs += [(None, note) for note in left]
    return sorted(pairs, key=_in_time)


def _in_time(pair: Pair) -> tuple[float, int]:
    note = pair[0] or pair[1]
    assert note is not None
    return note.start_s, note.pitch


def score(pairs: Sequence[Pair]) -> Score:
    """Precision, recall and F1 of the pairs; 1 where nothing was played and nothing found."""
    hits = sum(None not in pair for pair in pairs)
    played = sum(pair[0] is not None for pair in pairs)
    found = sum(pair[1] is not None for pair in pairs)
    if not played and not found:
        return Score(1.0, 1.0, 1.0)
    return Score(
        hits / found if found else 0.0, hits / played if played else 0.0, 2 * hits / (played + found)
    )


# The bounce


def loop() -> tuple[list[Note], bytes]:
    """What is played, and its sound: 16-bit mono PCM at `RATE_HZ`."""
    from bridge.engine import synth

    notes, duration_s = synth.demo_loop()
    sound = synth.render(notes, rate_hz=RATE_HZ, duration_s=duration_s)
    return notes, (sound * 32767).astype("<i2").tobytes()


def wav_header(data_bytes: int) -> bytes:
    """The 44 bytes in front of 16-bit mono PCM (Multimedia Programming Interface 1.0, RIFF WAVE)."""
    form = struct.pack("<HHIIHH", 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", 36 + data_bytes) + b"WAVEfmt " + struct.pack("<I", len(form)) + form
        + b"data" + struct.pack("<I", data_bytes)
    )  # fmt: skip


def bounce(path: Path, pcm: bytes, *, write_s: float = WRITE_S) -> float:
    """Writes the file as a DAW does: an empty header, the sound in pieces, the header again.

    Gives the time at which it was closed, in seconds since 1970.
    """
    size = -(-len(pcm) // PIECES // 2) * 2
    with path.open("wb") as file:
        file.write(wav_header(0))
        for start in range(0, len(pcm), size):
            file.write(pcm[start : start + size])
            file.flush()
            time.sleep(write_s / PIECES)
        file.seek(0)
        file.write(wav_header(len(pcm)))
    return time.time()


# The daemon


@dataclass(frozen=True)
class Place:
    """The demo's own folders."""

    home: Path
    bounces: Path
    project: Path


def _set_up() -> Place:
    base = Path(tempfile.mkdtemp(prefix="bridge-demo-"))
    place = Place(base / "home", base / "Bounces", base / "Project")
    for folder in (place.home, place.bounces, place.project):
        folder.mkdir()
    # A JSON string is a TOML string too, whatever is in the path.
    watched, project = (json.dumps(str(one), ensure_ascii=False) for one in (place.bounces, place.project))
    settings = f"[[folders]]\npath = {watched}\nproject_folder = {project}\n"
    (place.home / "config.toml").write_text(settings, encoding="utf-8")
    _bring_models(place.home / "models")
    return place


def _bring_models(folder: Path) -> None:
    """The musician's own models, pulled if they are not there yet."""
    store = ModelStore(home() / "models")
    folder.mkdir()
    for name in store.by_default():
        store.pull(name, report=lambda words: None if "already" in words else output.note(words))
        for path in store.files(name):
            shutil.copy2(path, folder / path.name)


@contextmanager
def _daemon(place: Place) -> Iterator[DaemonConnection]:
    """`bridge run` on the demo's folders, from the moment that it can be asked."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    environment["BRIDGE_HOME"] = str(place.home)
    with (place.home / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bridge", "run"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for the demo, which then stops the daemon.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        try:
            yield _reachable(place, process)
        finally:
            _end(process)


def _reachable(place: Place, process: subprocess.Popen[bytes]) -> DaemonConnection:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        daemon = daemon_at(place.home)
        if daemon is not None and _is_watching(daemon):
            return daemon
        time.sleep(0.05)
    raise BridgeError(
        "the demo's bridge did not start.",
        file=place.home / "run.log",
        remedy="That file says why; `bridge doctor` looks for more.",
    )


def _is_watching(daemon: DaemonConnection) -> bool:
    """The folder is watched and the engine is there, as when the bridge has been running for a while."""
    status = daemon.status()
    return status["engine"]["running"] and all(one["last_scan_at"] for one in status["folders"])


def _end(process: subprocess.Popen[bytes]) -> None:
    # On Windows `terminate` would be a kill; Ctrl-Break is what it can catch there.
    process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_midi(place: Place, midi: Path, closed_at: float) -> float:
    """When the MIDI file was there first, wall clock. It comes whole, so its name is enough."""
    deadline = closed_at + DELIVER_WITHIN_S
    while not midi.exists():
        if time.time() > deadline:
            raise BridgeError(
                f"no MIDI came within {DELIVER_WITHIN_S:g} s.",
                file=place.home / "logs" / "bridge.log",
                remedy="That file may say why; `bridge doctor` looks for more.",
            )
        time.sleep(LOOK_S)
    return time.time()


# All together


@dataclass(frozen=True)
class Result:
    bounce: Path
    midi: Path
    home: Path
    latency_s: float
    score: Score
    pairs: tuple[Pair, ...]

    def to_json(self) -> dict[str, Any]:
        notes = [
            {"played": asdict(one) if one else None, "found": asdict(other) if other else None}
            for one, other in self.pairs
        ]
        return {
            "bounce": str(self.bounce),
            "midi": str(self.midi),
            "home": str(self.home),
            "latency_s": round(self.latency_s, 3),
            **asdict(self.score),
            "good": self.score.f1 >= GOOD_F1,
            "notes": notes,
        }


def show(*, write_s: float = WRITE_S) -> Result:
    """Does the whole demo; takes some seconds. Raises BridgeError where it cannot be done."""
    place = _set_up()
    output.note(f"Everything is in {place.home.parent} and stays there.")
    played, pcm = loop()
    with _daemon(place):
        file = place.bounces / "Demo Loop_120bpm.wav"
        output.note(f"Bouncing {len(pcm) / 2 / RATE_HZ:g} s of music to {file} …")
        closed_at = bounce(file, pcm, write_s=write_s)
        midi = place.project / f"{file.stem}_midi.mid"
        seen_at = _wait_for_midi(place, midi, closed_at)
        found = smf_to_notes(midi.read_bytes())
    pairs = matched(played, found, tolerance_s=TOLERANCE_S)
    return Result(file, midi, place.home, seen_at - closed_at, score(pairs), tuple(pairs))


def demo(*, as_json: bool) -> int:
    """The command: 0 only if at least 95 % (F1) of the notes are right."""
    result = show()
    if as_json:
        output.say_json(result.to_json())
    else:
        for line in _lines(result):
            output.say(line)
    return 0 if result.score.f1 >= GOOD_F1 else 1


def _lines(result: Result) -> Iterator[str]:
    yield "  played            found             onset      length"
    for played, found in result.pairs:
        yield f"  {_words(played):16}  {_words(found):16}  {_difference(played, found)}"
    hits = sum(None not in pair for pair in result.pairs)
    played_count = sum(pair[0] is not None for pair in result.pairs)
    found_count = sum(pair[1] is not None for pair in result.pairs)
    yield (
        f"{played_count} notes played, {found_count} found, {hits} of them right"
        f" (pitch, and onset to {TOLERANCE_S * 1000:g} ms): F1 = {result.score.f1:.3f}"
    )
    yield f"{result.latency_s:.2f} s from closing the bounce to the MIDI in the project folder."
    yield f"MIDI: {result.midi}"


def _words(note: Note | None) -> str:
    if note is None:
        return "—"
    name = f"{NAMES[note.pitch % 12]}{note.pitch // 12 - 1}"
    return f"{name:4} at {note.start_s:6.3f} s"


def _difference(played: Note | None, found: Note | None) -> str:
    if played is None:
        return "not played"
    if found is None:
        return "not found"
    onset_ms = 1000 * (found.start_s - played.start_s)
    length_ms = 1000 * ((found.end_s - found.start_s) - (played.end_s - played.start_s))
    return f"{onset_ms:+5.0f} ms   {length_ms:+5.0f} ms"
