"""The passes: what a file tells of its delay, and sound laid elsewhere in exactly as many frames."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.engine.fitting_passes import excerpts, laid, survey
from bridge.media.mp3_length import told_delay
from support.returned_sets import BOUNCE_HZ, HAS_LAME, Sound, by_lame, parts

RAMP: Sound = np.arange(1, 20_001)[:, np.newaxis] / 32_768


def go_on() -> None:
    """Nobody cancels."""


def ramp(folder: Path, *, rate_hz: int = 8_000) -> Path:
    path = folder / "ramp.wav"
    sf.write(path, RAMP, rate_hz, subtype="FLOAT")
    return path


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_what_libsndfile_has_written_tells_its_delay(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = tmp_path / "a.mp3"
    sf.write(path, np.zeros((rate_hz, channels)), rate_hz, format="MP3")
    with path.open("rb") as file:
        assert told_delay(file) == 576
    assert survey(path, go_on).frames == rate_hz


@pytest.mark.skipif(not HAS_LAME, reason="ffmpeg is not on this machine")
@pytest.mark.parametrize("more", [("-b:a", "128k"), ("-q:a", "4")])
def test_lame_tells_it_where_it_has_a_tag(tmp_path: Path, more: tuple[str, ...]) -> None:
    stem = parts(1.0)["drums"]
    for with_tag, told in ((True, 1105), (False, None)):
        path = by_lame(tmp_path / f"{with_tag}.mp3", stem, with_tag=with_tag, more=more)
        with path.open("rb") as file:
            assert told_delay(file) in ({576, 1105} if told else {None})
        assert survey(path, go_on).tells_delay is with_tag


@pytest.mark.parametrize(
    "content", [b"", b"ID3", b"RIFF" * 100, b"\xff\xfb\x90\x00", b"\xff\xfb\x90\x00Xing"]
)
def test_what_is_no_whole_mp3_tells_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert told_delay(file) is None


def test_loudness_is_counted_a_second_from_the_first_frame_on(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sound = np.zeros((3 * BOUNCE_HZ, 2))
    sound[BOUNCE_HZ + 100 : 2 * BOUNCE_HZ + 100] = 0.5
    sf.write(path, sound, BOUNCE_HZ, subtype="PCM_24")
    np.testing.assert_allclose(survey(path, go_on, first=100).loudness, [0, 0.25, 0], atol=1e-9)
    assert survey(path, go_on, first=100).words == "WAV, 48000 Hz, 2 channels"


def test_excerpts_are_silent_outside_and_fade_inside(tmp_path: Path) -> None:
    before, inside, behind = excerpts(
        ramp(tmp_path), [(-10, 5_000), (5_000, 15_000), (19_000, 21_000)], go_on
    )
    assert not before[:10].any()
    np.testing.assert_allclose(before[10:2_000], RAMP[:1_990], atol=1e-7)
    assert (inside[0], inside[-1], before[-1], behind[0]) == (0, 0, 0, 0)
    np.testing.assert_allclose(inside[2_500:7_500], RAMP[7_500:12_500], atol=1e-6)
    assert not behind[1_000:].any()
    assert behind[999] == pytest.approx(RAMP[-1], abs=1e-6)


@settings(max_examples=60)
@given(
    delay=st.integers(-3_000, 21_000),
    lead=st.integers(0, 70_000),
    rate_hz=st.sampled_from([8_000, 44_100, 7_350, 96_000]),
    channels=st.sampled_from([None, 1, 2]),
)
def test_sound_is_laid_in_exactly_as_many_frames(
    delay: int, lead: int, rate_hz: int, channels: int | None
) -> None:
    with tempfile.TemporaryDirectory() as work:
        blocks = laid(
            ramp(Path(work)), go_on, rate_hz=rate_hz, delay=delay, lead_frames=lead, channels=channels
        )
        placed = np.concatenate([np.zeros((0, 1), np.float32), *(np.array(block) for block in blocks)])
    kept = max(0, len(RAMP) - delay)
    assert len(placed) == lead + int(kept * rate_hz / 8_000 + 0.5)
    assert not placed[:lead].any()
    if rate_hz == 8_000:
        whole = np.concatenate([np.zeros((max(0, -delay), 1)), RAMP[max(0, delay) :]])
        np.testing.assert_allclose(placed[lead:], whole, atol=1e-7)
