"""Audio to notes on the real network: no seams, no drift, and what the task writes."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile as sf
from numpy.typing import NDArray

from bridge.engine import notes as engine
from bridge.engine import synth
from bridge.engine.models import ModelStore
from bridge.engine.note_decoding import FRAME_S, DecodingOptions, decode, pack
from bridge.errors import AudioError, Cancelled, WrongUse
from bridge.media.notes import NOTES_MEDIA_TYPE, Note

Samples = NDArray[np.float32]
RATE_HZ = 22_050


@pytest.fixture(scope="module")
def model(models_folder: Path) -> Path:
    return ModelStore(models_folder).pull("basic-pitch", report=print)


@pytest.fixture(scope="module")
def phrase() -> Samples:
    """Six seconds of the demo's loop at the network's rate: five windows."""
    return synth.render(synth.demo_loop()[0], rate_hz=RATE_HZ, duration_s=6.0)


def blocks_of(sound: Samples, size: int = 10_000) -> Iterator[Samples]:
    return (sound[first : first + size] for first in range(0, len(sound), size))


def hear(sound: Samples, model: Path, *, threads: int = 1, size: int = 10_000) -> engine.Posteriors:
    return engine.posteriors(blocks_of(sound, size), model=model, threads=threads)


def find(sound: Samples, model: Path) -> list[Note]:
    heard = hear(sound, model)
    return decode(heard.note, heard.onset, DecodingOptions())


def f1(reference: list[Note], found: list[Note], *, tolerance_s: float = 0.05) -> float:
    """Onset and pitch, each note matched once; no pitch may be repeated within twice the tolerance."""
    left = list(found)
    hits = 0
    for note in reference:
        near = [n for n in left if n.pitch == note.pitch and abs(n.start_s - note.start_s) <= tolerance_s]
        if near:
            left.remove(near[0])
            hits += 1
    return 2 * hits / (len(reference) + len(found))


def run(session: Any, samples: Samples, first: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The network on one window that begins at sample `first`, silence outside the audio."""
    window = np.zeros(43_844, dtype=np.float32)
    begin, end = max(first, 0), min(first + 43_844, len(samples))
    window[begin - first : end - first] = samples[begin:end]
    note, onset = session.run(list(engine.OUTPUTS), {engine.INPUT: window[None, :, None]})
    return note[0], onset[0]


def test_each_frame_is_that_of_a_window_around_it(model: Path, phrase: Samples) -> None:
    """Against a plain reference: for each frame the window that it belongs to, on its own, and no other."""
    heard = hear(phrase, model)
    assert heard.note.shape == heard.onset.shape == (len(phrase) // 256 + 1, 88)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for window in range(4):
        note, onset = run(session, phrase, (window * 141 - 15) * 256)
        here = slice(window * 141, min((window + 1) * 141, len(heard.note)))
        kept = slice(15, 15 + here.stop - here.start)
        for ours, reference in ((heard.note, note), (heard.onset, onset)):
            assert np.abs(ours[here].astype(int) - pack(reference[kept]).astype(int)).max() <= 2


def test_frames_at_a_seam_are_those_that_a_window_over_the_seam_has(model: Path, phrase: Samples) -> None:
    """The network scales each window by its loudest and softest bin, so not the same bits; but no jump."""
    heard = hear(phrase, model)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for seam in (141, 282, 423):
        note, _ = run(session, phrase, (seam - 86) * 256)
        ours = heard.note[seam - 2 : seam + 2] / 65_535
        sounding = note[84:88] > 0.3
        assert sounding.any()
        assert np.abs(ours - note[84:88])[sounding].mean() < 0.1


@pytest.mark.parametrize(("threads", "size"), [(1, 999), (2, 10_000), (4, 200_000)])
def test_the_result_depends_neither_on_threads_nor_on_blocks(
    model: Path, phrase: Samples, threads: int, size: int
) -> None:
    one, other = hear(phrase, model), hear(phrase, model, threads=threads, size=size)
    assert np.array_equal(one.note, other.note)
    assert np.array_equal(one.onset, other.onset)
    assert one.samples == other.samples == len(phrase)


@pytest.mark.parametrize("at_once", [1, 2, 4])
@pytest.mark.parametrize("samples", [1, 36_095, 36_096, 150_000])
def test_no_window_is_worked_on_for_nothing(samples: int, at_once: int) -> None:
    rounds = list(engine._rounds(blocks_of(np.zeros(samples, dtype=np.float32)), at_once))
    assert sum(len(windows) for windows, _ in rounds) == samples // 36_096 + 1
    assert all(window.shape == (43_844,) for windows, _ in rounds for window in windows)
    assert all(len(windows) == at_once for windows, _ in rounds[:-1])


def test_a_note_across_windows_is_one_note_with_its_own_times(model: Path) -> None:
    played = [Note(0.5, 5.5, 60, 100), Note(2.0, 2.4, 67, 100)]
    found = find(synth.render(played, rate_hz=RATE_HZ, duration_s=6.5), model)
    assert [note.pitch for note in found] == [60, 67]
    for note, original in zip(found, played, strict=True):
        assert note.start_s == pytest.approx(original.start_s, abs=0.02)
        assert note.end_s == pytest.approx(original.end_s, abs=0.12)


@pytest.mark.parametrize("late_frames", [1, 50, 100])
def test_audio_that_begins_later_has_the_same_notes_later(
    model: Path, phrase: Samples, late_frames: int
) -> None:
    silence = np.zeros(late_frames * 256, dtype=np.float32)
    first = find(phrase, model)
    late = find(np.concatenate([silence, phrase]), model)
    moved = [replace(note, start_s=note.start_s - late_frames * FRAME_S) for note in late]
    assert len(first) > 30
    assert f1(first, moved, tolerance_s=0.03) > 0.95


@pytest.mark.slow
def test_times_do_not_drift(model: Path) -> None:
    """Two minutes are 73 windows; uncorrected, the package's frame times would be 0.6 s off by then."""
    beats = [Note(float(second), second + 0.3, 60 + second % 7, 100) for second in range(1, 120, 7)]
    found = find(synth.render(beats, rate_hz=RATE_HZ, duration_s=120.0), model)
    assert f1(beats, found, tolerance_s=0.02) == 1.0


def test_the_demo_is_found(model: Path) -> None:
    played, duration_s = synth.demo_loop()
    sound = synth.render(played, rate_hz=RATE_HZ, duration_s=duration_s)
    assert f1(played, find(sound, model)) >= 0.95


@pytest.mark.parametrize("samples", [1, 255, 256, 36_096 - 1, 36_096, 43_844])
def test_short_audio_has_a_frame_for_every_256_samples(model: Path, samples: int) -> None:
    heard = hear(np.zeros(samples, dtype=np.float32), model)
    assert len(heard.note) == samples // 256 + 1
    assert decode(heard.note, heard.onset, DecodingOptions()) == []


def test_no_audio_has_no_frames(model: Path) -> None:
    assert hear(np.zeros(0, dtype=np.float32), model).note.shape == (0, 88)


# The task


class Listener:
    def __init__(self, cancel_after: int | None = None) -> None:
        self.fractions: list[float] = []
        self.checks = 0
        self._cancel_after = cancel_after

    def progress(self, fraction: float, doing: str) -> None:
        assert doing
        self.fractions.append(fraction)

    def check(self) -> None:
        self.checks += 1
        if self._cancel_after is not None and self.checks > self._cancel_after:
            raise Cancelled("stopped")


Task = Callable[..., list[dict[str, str]]]


@pytest.fixture
def loop(tmp_path: Path, phrase: Samples) -> Path:
    path = tmp_path / "loop.wav"
    sf.write(path, phrase, RATE_HZ)
    return path


@pytest.fixture
def task(tmp_path: Path, model: Path) -> Task:
    def call(source: Path, listener: Listener, **parameters: Any) -> list[dict[str, str]]:
        return engine.audio_to_midi(
            source,
            parameters,
            tmp_path,
            model=model,
            progress=listener.progress,
            check=listener.check,
            threads=1,
        )

    return call


def test_the_task_writes_what_was_asked_for(task: Task, loop: Path, tmp_path: Path, model: Path) -> None:
    listener = Listener()
    made = task(loop, listener, sonify_midi=True, save_note_events=True, onset_threshold=0.55)
    assert made == [
        {"role": "midi", "file": "notes.json", "media_type": NOTES_MEDIA_TYPE},
        {"role": "note_events", "file": "notes.csv", "media_type": "text/csv"},
        {"role": "sonified", "file": "sonified.wav", "media_type": "audio/wav"},
    ]
    document = json.loads((tmp_path / "notes.json").read_text(encoding="utf-8"))
    assert document["duration_s"] == pytest.approx(6.0)
    about = document["about"]
    assert about["engine_version"] == engine.ENGINE_VERSION
    assert about["models"] == {"basic-pitch": hashlib.sha256(model.read_bytes()).hexdigest()}
    assert about["parameters"]["onset_threshold"] == 0.55
    assert about["parameters"]["frame_threshold"] == 0.3
    with (tmp_path / "notes.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(document["notes"]) > 30
    info = sf.info(tmp_path / "sonified.wav")
    assert (info.samplerate, info.subtype, info.frames) == (44_100, "PCM_16", 6 * 44_100)
    assert listener.fractions == sorted(listener.fractions)
    assert listener.fractions[-1] == 1.0
    assert len(listener.fractions) > 4


def test_only_the_notes_without_wishes(task: Task, loop: Path, tmp_path: Path) -> None:
    assert [made["role"] for made in task(loop, Listener())] == ["midi"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop.wav", "notes.json"]


@pytest.mark.slow
def test_cancelling_stops_between_windows(task: Task, loop: Path, tmp_path: Path) -> None:
    everything = Listener()
    task(loop, everything)
    (tmp_path / "notes.json").unlink()
    assert everything.checks > 5
    for checks in range(0, everything.checks, 2):
        with pytest.raises(Cancelled):
            task(loop, Listener(cancel_after=checks))
    assert not (tmp_path / "notes.json").exists()


@pytest.mark.parametrize(
    "parameters",
    [{"onset_threshold": 0.0}, {"frame_threshold": 1.0}, {"lowest_note": 80, "highest_note": 70}],
)
def test_parameters_out_of_range_are_told(task: Task, loop: Path, parameters: dict[str, Any]) -> None:
    with pytest.raises(WrongUse, match=r"threshold|lowest_note"):
        task(loop, Listener(), **parameters)


def test_a_file_that_is_no_audio_is_told_by_name(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "mix.wav"
    path.write_text("these are words")
    with pytest.raises(AudioError, match=r"mix\.wav"):
        task(path, Listener())


def test_warming_loads_the_network_once(model: Path) -> None:
    engine.warm(model)
    before = engine._session.cache_info()
    hear(np.zeros(100, dtype=np.float32), model)
    assert engine._session.cache_info().misses == before.misses
