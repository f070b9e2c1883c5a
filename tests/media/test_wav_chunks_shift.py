"""What becomes of chunks when the sound is cut, changed or brought to another rate."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.wav_bext import Bext, Loudness
from bridge.media.wav_chunks import WavChunks, read_chunks
from bridge.media.wav_shift import for_changed_audio, for_cut, for_rate
from support.wav_files import acid, adtl, bext, chunk, cue, info, ixml, saved, smpl, wav

LOUD = (-2300, 500, -100, -1800, -2000)
SPEED = (
    "<SPEED><FILE_SAMPLE_RATE>48000</FILE_SAMPLE_RATE>"
    "<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>0</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"
    "<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>480000</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></SPEED>"
    "<LOUDNESS><LOUDNESS_VALUE>-23</LOUDNESS_VALUE></LOUDNESS>"
)
POINTS = cue((1, 0), (2, 500), (3, 800), (4, 1500), (5, 2000))
NAMES = adtl(
    (1, "start"), (2, "verse"), (3, "solo"), (4, "chorus"), (5, "end"), (9, "nobody's"), regions=[(3, 400)]
)


@pytest.fixture
def whole(tmp_path: Path) -> WavChunks:
    """2000 frames at 48 kHz with everything that has a place in time."""
    before = [
        (b"bext", bext(time_reference=96_000, loudness=LOUD)),
        (b"iXML", ixml(SPEED)),
        (b"acid", acid(beats=8)),
        (b"PEAK", bytes(16)),
        (b"LIST", info(INAM="Title")),
    ]
    after = [
        (b"cue ", POINTS),
        (b"LIST", NAMES),
        (b"smpl", smpl((0, 1999), (600, 1199), (100, 700), (600, 1500))),
    ]
    more = [(b"plst", bytes(16)), (b"what", b"ever")]
    return read_chunks(saved(tmp_path, wav(before, [*after, *more])))


def frames_of(chunks: WavChunks) -> dict[int, int]:
    return {point.id: point.frame for point in chunks.cues.points} if chunks.cues else {}


def loops_of(chunks: WavChunks) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in chunks.sampler.loops] if chunks.sampler else []


def names_of(chunks: WavChunks) -> list[bytes]:
    return [one.name for one in chunks.all]


def test_a_part_moves_everything_and_drops_what_is_outside(whole: WavChunks) -> None:
    part = for_cut(whole, 500, 1000)
    assert part.frames == 1000
    assert part.bext is not None
    assert part.bext.time_reference == 96_500
    assert part.bext.loudness == Loudness()
    assert part.ixml is not None
    assert part.ixml.timestamp_frames == 480_500
    assert "LOUDNESS" not in part.ixml.text
    assert frames_of(part) == {2: 0, 3: 300, 4: 1000}
    assert part.labels is not None
    assert part.labels.texts(b"labl") == {2: "verse", 3: "solo", 4: "chorus", 9: "nobody's"}
    assert [one.frames for one in part.labels.regions] == [400]
    assert loops_of(part) == [(100, 699)]
    assert part.acid is not None
    assert part.acid.beats == 4
    assert names_of(part) == [b"fmt ", b"bext", b"iXML", b"acid", b"LIST", b"cue ", b"LIST", b"smpl", b"what"]
    assert [words.split()[2] for words in part.warnings] == ["plst"]
    assert part.info == {"INAM": "Title"}


def test_regions_are_clipped_at_both_ends(whole: WavChunks) -> None:
    late = for_cut(whole, 900, 200)
    assert frames_of(late) == {3: 0}
    assert late.labels is not None
    assert [one.frames for one in late.labels.regions] == [200]
    early = for_cut(whole, 0, 900)
    assert early.labels is not None
    assert [one.frames for one in early.labels.regions] == [100]


def test_beats_of_a_part_that_is_no_whole_number_are_unset(whole: WavChunks) -> None:
    part = for_cut(whole, 0, 777)
    assert part.acid is not None
    assert part.acid.beats == 0
    assert part.acid.tempo_bpm == 120


def test_when_nothing_is_left_the_chunk_goes(tmp_path: Path) -> None:
    whole = read_chunks(saved(tmp_path, wav([(b"cue ", cue((1, 5))), (b"LIST", adtl((1, "a")))])))
    assert names_of(for_cut(whole, 100, 100)) == [b"fmt "]


def test_the_whole_is_not_touched(whole: WavChunks) -> None:
    assert for_cut(whole, 0, 2000) is whole
    assert for_rate(whole, 48_000, 48_000) is whole


def test_damaged_positions_cannot_be_moved_and_are_left_out(tmp_path: Path) -> None:
    chunks = read_chunks(saved(tmp_path, wav([(b"cue ", b"\xff\0\0\0"), (b"bext", b"short")])))
    part = for_cut(chunks, 1, 10)
    assert names_of(part) == [b"fmt ", b"bext"]
    assert len(part.warnings) == 3
    assert names_of(for_changed_audio(chunks)) == [b"fmt ", b"cue ", b"bext"]


def test_changed_audio_unsets_what_was_measured_and_nothing_else(whole: WavChunks) -> None:
    changed = for_changed_audio(whole)
    assert changed.bext is not None
    assert changed.bext.loudness == Loudness()
    assert changed.bext.time_reference == 96_000
    assert changed.ixml is not None
    assert "LOUDNESS" not in changed.ixml.text
    assert names_of(changed) == [name for name in names_of(whole) if name != b"PEAK"]
    assert changed.after == whole.after


def test_another_rate_scales_every_position(whole: WavChunks) -> None:
    there = for_rate(whole, 48_000, 96_000)
    assert (there.rate_hz, there.frames) == (96_000, 4000)
    assert there.bext is not None
    assert there.bext.time_reference == 192_000
    assert there.bext.loudness.integrated_lufs == -23
    assert there.ixml is not None
    assert there.ixml.sample_rate_hz == 96_000
    assert there.ixml.timestamp_frames == 960_000
    assert frames_of(there) == {1: 0, 2: 1000, 3: 1600, 4: 3000, 5: 4000}
    assert there.labels is not None
    assert [one.frames for one in there.labels.regions] == [800]
    assert loops_of(there) == [(0, 3999), (1200, 2399), (200, 1401), (1200, 3001)]
    assert there.sampler is not None
    assert there.sampler.sample_period_ns == 10_417
    assert there.acid == whole.acid


def test_a_sample_period_of_its_own_is_scaled(tmp_path: Path) -> None:
    chunks = read_chunks(saved(tmp_path, wav([(b"smpl", smpl(period_ns=1000))])))
    there = for_rate(chunks, 48_000, 24_000)
    assert there.sampler is not None
    assert there.sampler.sample_period_ns == 2000


def test_points_beyond_32_bits_are_dropped(tmp_path: Path) -> None:
    chunks = read_chunks(saved(tmp_path, wav([(b"cue ", cue((1, 3_000_000_000), (2, 9)))])))
    assert frames_of(for_rate(chunks, 48_000, 96_000)) == {2: 18}


@given(st.integers(8000, 192_000), st.integers(8000, 192_000), st.integers(0, 10**12))
def test_there_and_back_is_within_a_frame(old_hz: int, new_hz: int, reference: int) -> None:
    chunks = WavChunks().with_typed(Bext.make(time_reference=reference))
    back = for_rate(for_rate(chunks, old_hz, new_hz), new_hz, old_hz)
    assert back.bext is not None
    assert abs(back.bext.time_reference - reference) <= old_hz / new_hz / 2 + 0.5


def test_wrong_numbers_are_refused(whole: WavChunks) -> None:
    for start, frames in ((-1, 5), (5, -1)):
        with pytest.raises(ValueError, match="below 0"):
            for_cut(whole, start, frames)
    for old_hz, new_hz in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match="above 0"):
            for_rate(whole, old_hz, new_hz)


def test_markers_of_an_aiff_move_too(tmp_path: Path) -> None:
    rows = [struct.pack(">hIB", key, at, 3) + b"abc" for key, at in ((1, 10), (2, 60), (3, 90))]
    mark = struct.pack(">H", 3) + b"".join(rows)
    comm = struct.pack(">hIh", 1, 100, 16) + struct.pack(">HQ", 16383 + 15, 48_000 << 48)
    parts = (chunk(b"COMM", comm, order=">"), chunk(b"MARK", mark, order=">"))
    body = b"AIFF" + b"".join(parts) + chunk(b"SSND", bytes(8 + 200), order=">")
    chunks = read_chunks(saved(tmp_path, b"FORM" + struct.pack(">I", len(body)) + body, "a.aiff"))
    part = for_cut(chunks, 50, 20)
    assert part.marks is not None
    assert [(one.frame, one.name) for one in part.marks.marks] == [(10, "abc")]
    there = for_rate(chunks, 48_000, 24_000)
    assert there.marks is not None
    assert [one.frame for one in there.marks.marks] == [5, 30, 45]
    assert names_of(for_cut(chunks, 91, 5)) == [b"COMM"]
