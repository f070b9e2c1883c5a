"""The network over windows: the same numbers as the published graph, on one grid, for any blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from bridge.engine import basic_pitch, synth
from bridge.engine.basic_pitch import HOP_SAMPLES, WINDOW_SAMPLES, posteriors
from bridge.engine.graphs import basic_pitch as graph
from bridge.engine.models import ModelStore
from bridge.engine.posteriors import FRAME_HOP, MODEL_RATE_HZ, level_db, pack, unpack
from bridge.errors import ModelError
from bridge.media.notes import Note

Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def store(models_folder: Path) -> ModelStore:
    store = ModelStore(models_folder)
    store.pull("basic-pitch", report=print)
    return store


@pytest.fixture(scope="module")
def model(store: ModelStore) -> Path:
    return store.path("basic-pitch")


def music(seconds: float, gain: float = 1.0) -> Samples:
    notes = [
        Note(0.2 + 0.31 * step, 0.2 + 0.31 * step + 0.5, pitch, 60 + step % 50)
        for step, pitch in enumerate([40, 52, 59, 64, 71, 76, 45, 57, 60, 88] * 4)
    ]
    return synth.render(notes, rate_hz=MODEL_RATE_HZ, duration_s=seconds) * np.float32(gain)


def windows_of(samples: Samples) -> Iterator[Samples]:
    padded = np.concatenate(
        [np.zeros(15 * FRAME_HOP, np.float32), samples, np.zeros(WINDOW_SAMPLES, np.float32)]
    )
    for start in range(0, len(samples), HOP_SAMPLES):
        yield padded[start : start + WINDOW_SAMPLES]


@pytest.mark.parametrize("sound", ["music", "quiet", "noise", "silence", "full scale"])
def test_our_graph_gives_what_the_published_one_gives(store: ModelStore, model: Path, sound: str) -> None:
    noise = np.random.default_rng(3).standard_normal(WINDOW_SAMPLES).astype(np.float32)
    samples = {
        "music": music(4.0),
        "quiet": music(4.0, 0.001),
        "noise": 0.1 * noise,
        "silence": np.zeros(WINDOW_SAMPLES, np.float32),
        "full scale": np.sign(noise),
    }[sound]
    published = onnxruntime.InferenceSession(store.folder / "basic-pitch-icassp_2022.onnx")
    ours = onnxruntime.InferenceSession(model)
    for window in windows_of(samples):
        onset, note, contour = published.run(None, {published.get_inputs()[0].name: window[None, :, None]})
        got = ours.run(["onset", "note", "contour"], {"audio": window[None]})
        for mine, theirs in zip(got, (onset, note, contour), strict=True):
            assert mine.shape == theirs.shape
            assert np.abs(mine - theirs).max() < 2e-5


def test_the_frames_are_those_of_one_long_grid(model: Path) -> None:
    """Two windows meet without a seam: the same sound a window's hop later is the same, a hop later."""
    samples = music(3.0)
    later = np.concatenate([np.zeros(HOP_SAMPLES, np.float32), samples])
    first = posteriors([samples], model=model, threads=1)
    second = posteriors([later], model=model, threads=1)
    frames = HOP_SAMPLES // FRAME_HOP
    assert len(first.note) == len(samples) // FRAME_HOP + 1
    assert first.contour.shape[1] == 264
    # All frames but those that hear the beginning: there the windows see other silence before them.
    assert np.array_equal(first.onset[:200], second.onset[frames : frames + 200])


def test_blocks_and_threads_change_nothing(model: Path) -> None:
    samples = music(6.0)
    whole = posteriors([samples], model=model, threads=1)
    cuts = [0, 1, 500, 36_096, 36_097, 80_000, len(samples)]
    blocks = [samples[start:end] for start, end in pairwise(cuts)]
    parts = posteriors(blocks, model=model, threads=3)
    for name in ("note", "onset", "contour", "level"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.samples == parts.samples == len(samples)


@pytest.mark.parametrize("samples", [0, 1, 255, 256, 36_095, 36_096, 36_097])
def test_every_length_has_its_frames(model: Path, samples: int) -> None:
    heard = posteriors([np.zeros(samples, np.float32)], model=model, threads=2)
    frames = samples // FRAME_HOP + 1 if samples else 0
    assert heard.note.shape == heard.onset.shape == (frames, 88)
    assert heard.level.shape == (frames, 103)


def test_levels_are_decibels_of_the_sound(model: Path) -> None:
    heard = {gain: posteriors([music(2.0, gain)], model=model, threads=1) for gain in (1.0, 0.1)}
    frame = round(0.5 * MODEL_RATE_HZ / FRAME_HOP)
    loudest = heard[1.0].level[frame].argmax()
    assert loudest + 21 in (40, 52)
    fall = level_db(heard[1.0].level)[frame, loudest] - level_db(heard[0.1].level)[frame, loudest]
    assert fall == pytest.approx(20.0, abs=0.5)
    assert posteriors([np.zeros(30_000, np.float32)], model=model, threads=1).level.max() == 0


def test_packing_keeps_what_counts() -> None:
    values = np.array([0.0, 1e-5, 0.5, 1.0, 2.0, -1.0, np.nan], np.float32)
    assert np.abs(unpack(pack(values)) - np.array([0, 1e-5, 0.5, 1, 1, 0, 0], np.float32)).max() < 1e-5


def test_another_file_than_the_published_network_is_refused(tmp_path: Path, model: Path) -> None:
    for number, data in enumerate((b"", b"no graph at all", model.read_bytes())):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(data)
        with pytest.raises(ModelError, match="not Basic Pitch"):
            graph.build(path)


@pytest.mark.parametrize(
    ("fold_in", "fold_out", "stride", "width"),
    [(1, 8, 1, 3), (2, 2, 1, 39), (2, 12, 1, 5), (2, 2, 3, 5), (8, 8, 1, 3)],
)
def test_folded_taps_are_the_same_convolution(fold_in: int, fold_out: int, stride: int, width: int) -> None:
    rng = np.random.default_rng(fold_in * 100 + width)
    columns = 24 * 5
    row = rng.standard_normal(columns)
    taps = rng.standard_normal((1, 1, 1, width)).astype(np.float32)
    front = max(width - stride, 0) // 2
    padded = np.concatenate([np.zeros(front), row, np.zeros(width)])
    plain = [padded[at : at + width] @ taps.ravel() for at in range(0, columns, stride)]
    folded, first = graph.fold_taps(taps, fold_in=fold_in, fold_out=fold_out, stride=stride, front=front)
    groups = np.pad(row.reshape(-1, fold_in), ((first, folded.shape[3] + 8), (0, 0))).T
    step = stride * fold_out // fold_in
    got = [
        (folded[:, :, 0, :] * groups[:, at * step : at * step + folded.shape[3]]).sum((1, 2))
        for at in range(columns // (stride * fold_out))
    ]
    assert np.allclose(np.concatenate(got), plain, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 2, 4])
@pytest.mark.parametrize("samples", [1, 36_095, 36_096, 150_000])
def test_no_window_is_worked_on_for_nothing(samples: int, at_once: int) -> None:
    rounds = list(basic_pitch._rounds([np.zeros(samples, dtype=np.float32)], at_once))
    assert sum(len(windows) for windows, _ in rounds) == samples // 36_096 + 1
    assert all(window.shape == (43_844,) for windows, _ in rounds for window in windows)
    assert all(len(windows) == at_once for windows, _ in rounds[:-1])


def run(session: Any, samples: Samples, first: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Note and onset on one window that begins at sample `first`, silence outside the audio."""
    window = np.zeros(WINDOW_SAMPLES, dtype=np.float32)
    begin, end = max(first, 0), min(first + WINDOW_SAMPLES, len(samples))
    window[begin - first : end - first] = samples[begin:end]
    note, onset = session.run(["note", "onset"], {"audio": window[None]})
    return note[0], onset[0]


def test_each_frame_is_that_of_a_window_around_it(model: Path) -> None:
    """Against a plain reference: for each frame the window that it belongs to, on its own, and no other."""
    samples = music(6.0)
    heard = posteriors([samples], model=model, threads=1)
    session = onnxruntime.InferenceSession(model)
    for window in range(4):
        note, onset = run(session, samples, (window * 141 - 15) * FRAME_HOP)
        here = slice(window * 141, min((window + 1) * 141, len(heard.note)))
        kept = slice(15, 15 + here.stop - here.start)
        for ours, reference in ((heard.note, note), (heard.onset, onset)):
            assert np.abs(ours[here].astype(int) - pack(reference[kept]).astype(int)).max() <= 2


def test_frames_at_a_seam_are_those_that_a_window_over_the_seam_has(model: Path) -> None:
    """The network scales each window by its loudest and softest bin, so not the same bits; but no jump."""
    samples = music(6.0)
    heard = posteriors([samples], model=model, threads=1)
    session = onnxruntime.InferenceSession(model)
    for seam in (141, 282, 423):
        note, _ = run(session, samples, (seam - 86) * FRAME_HOP)
        ours = unpack(heard.note[seam - 2 : seam + 2])
        sounding = note[84:88] > 0.3
        assert sounding.any()
        assert np.abs(ours - note[84:88])[sounding].mean() < 0.1


def test_warming_loads_the_network_once(model: Path) -> None:
    basic_pitch.warm(model)
    before = basic_pitch._session.cache_info()
    posteriors([np.zeros(100, dtype=np.float32)], model=model, threads=1)
    assert basic_pitch._session.cache_info().misses == before.misses
