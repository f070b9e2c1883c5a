"""Silence at both ends stays at home, and what comes back of the rest lies where it belongs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bridge.engine import fitting
from bridge.engine.trimming import Bounds, bounds, trimmed
from bridge.errors import AudioError, Cancelled
from support.returned_sets import BOUNCE_HZ, Sound, bounce, lag, parts, returned

HOLD = round(0.05 * BOUNCE_HZ)
STEMS = parts(3.0)
BEFORE, AFTER = 70_001, 40_000


def go_on() -> None:
    """Nobody cancels."""


def padded(stem: Sound, *, before: int = BEFORE, after: int = AFTER) -> Sound:
    return np.pad(stem, ((before, after), (0, 0)))


def with_silence(folder: Path) -> tuple[Path, dict[str, Sound]]:
    """A bounce that begins and ends with silence, or next to it, and its stems."""
    stems = {name: padded(stem) for name, stem in STEMS.items()}
    hiss = 1e-5 * np.random.default_rng(5).standard_normal(stems["drums"].shape)
    return bounce(folder, {**stems, "hiss": hiss}), stems


def test_bounds_keep_a_little_around_the_sound(tmp_path: Path) -> None:
    click = np.zeros((BOUNCE_HZ, 1))
    click[20_000:20_101] = 10 ** (-71 / 20)
    source = bounce(tmp_path, {"click": click})
    assert bounds(source, go_on) == Bounds(20_000 - HOLD, 20_101 + HOLD, BOUNCE_HZ)
    quieter = bounce(tmp_path, {"click": click * 10 ** (-2 / 20)})
    assert bounds(quieter, go_on).is_whole


@pytest.mark.parametrize(
    ("before", "after", "is_cut"), [(0, 0, False), (HOLD, HOLD, False), (20_000, 0, False), (30_000, 0, True)]
)
def test_hardly_any_silence_is_not_worth_a_copy(
    tmp_path: Path, before: int, after: int, *, is_cut: bool
) -> None:
    sound = np.full((BOUNCE_HZ, 2), 0.1)
    source = bounce(tmp_path, {"sound": padded(sound, before=before, after=after)})
    folder = tmp_path / "copy"
    folder.mkdir()
    assert (trimmed(source, folder, go_on) != source) is is_cut
    assert len(list(folder.iterdir())) == is_cut


@pytest.mark.parametrize(
    ("kind", "subtype", "made"),
    [
        ("WAV", "PCM_16", ("FLAC", "PCM_16")),
        ("WAV", "PCM_24", ("FLAC", "PCM_24")),
        ("WAV", "PCM_U8", ("FLAC", "PCM_S8")),
        ("AIFF", "PCM_S8", ("FLAC", "PCM_S8")),
        ("WAV", "FLOAT", ("WAV", "FLOAT")),
        ("WAV", "PCM_32", ("WAV", "PCM_32")),
        ("FLAC", "PCM_24", ("FLAC", "PCM_24")),
    ],
)
def test_the_copy_holds_the_same_samples(
    tmp_path: Path, kind: str, subtype: str, made: tuple[str, str]
) -> None:
    source = tmp_path / f"take.{kind.lower()}"
    sf.write(source, padded(STEMS["drums"]), BOUNCE_HZ, format=kind, subtype=subtype)
    before = source.read_bytes()
    copy = trimmed(source, tmp_path, go_on)
    found = bounds(source, go_on)
    info = sf.info(copy)
    assert ((info.format, info.subtype), info.samplerate) == (made, BOUNCE_HZ)
    sound = sf.read(source, dtype="float32")[0]
    np.testing.assert_array_equal(sf.read(copy, dtype="float32")[0], sound[found.start : found.end])
    first = copy.read_bytes()
    assert trimmed(source, tmp_path, go_on).read_bytes() == first
    assert source.read_bytes() == before


def test_silence_throughout_is_sent_as_it_is(tmp_path: Path) -> None:
    source = bounce(tmp_path, {"silence": np.zeros((BOUNCE_HZ, 2))})
    assert trimmed(source, tmp_path, go_on) == source


@pytest.mark.parametrize("delay", [0, 1105])
def test_stems_of_a_trimmed_upload_lie_on_the_whole_bounce(tmp_path: Path, delay: int) -> None:
    source, stems = with_silence(tmp_path)
    cut = bounds(source, go_on)
    assert cut.start > BEFORE - 2 * HOLD
    raws = []
    for name, stem in stems.items():
        back = returned(tmp_path / f"{name}-back.mp3", stem[cut.start : cut.end], delay=delay)
        raws.append({"role": name, "path": str(back), "media_type": "audio/mpeg", "fit": "source"})
    rows = fitting.fit(
        raws,
        tmp_path,
        source=source,
        was_trimmed=True,
        why="",
        check=go_on,
        progress=lambda *_: None,
    )
    for row in rows:
        placed = sf.read(tmp_path / row["file"])[0]
        assert (lag(placed, stems[row["role"]]), placed.shape) == (0, stems[row["role"]].shape)
        assert not placed[: cut.start - 10].any()
        assert row["about"]["offset_frames"] == delay


def test_cancelling_leaves_no_copy(tmp_path: Path) -> None:
    source, _ = with_silence(tmp_path)
    folder = tmp_path / "copy"
    folder.mkdir()
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise Cancelled("cancelled.")

    with pytest.raises(Cancelled):
        trimmed(source, folder, check)
    assert not list(folder.iterdir())


def test_what_is_no_audio_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text.wav"
    path.write_text("I am no audio", encoding="utf-8")
    with pytest.raises(AudioError):
        trimmed(path, tmp_path, go_on)
