"""Audio that is written keeps its chunks and tags, moved with the sound."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bridge.media.audio_format import AudioFormat, chunks_for, plan_for
from bridge.media.flac_blocks import FlacBlock, read_blocks
from bridge.media.wav_assembly import assemble
from bridge.media.wav_bext import Loudness
from bridge.media.wav_chunks import read_chunks
from support.audio_samples import phrase, write
from support.wav_files import acid, adtl, bext, chunk, cue, info, ixml, saved, wav
from support.written_sets import one, read

BEFORE = [
    (b"bext", bext(time_reference=96_000, loudness=(1, 2, 3, 4, 5))),
    (b"iXML", ixml("<SPEED><AUDIO_BIT_DEPTH>16</AUDIO_BIT_DEPTH></SPEED>")),
    (b"acid", acid(beats=8)),
    (b"what", b"ever"),
]
AFTER = [
    (b"cue ", cue((1, 100), (2, 1500))),
    (b"LIST", adtl((1, "Verse"), (2, "Chorus"))),
    (b"LIST", info(INAM="T")),
]


def test_chunks_stay_and_what_was_measured_goes(tmp_path: Path) -> None:
    source = saved(tmp_path, wav(BEFORE, AFTER))
    path, written = one(tmp_path, np.zeros((2000, 1)), AudioFormat.of(source))
    chunks, old = read_chunks(path), read_chunks(source)
    assert chunks.bext is not None
    assert chunks.bext.time_reference == 96_000
    assert chunks.bext.loudness == Loudness()
    assert [each.name for each in chunks.all] == [each.name for each in old.all]
    assert chunks.after == old.after
    assert chunks.before[2:] == old.before[2:]
    assert written.warnings == ()


def test_chunks_of_a_part_move(tmp_path: Path) -> None:
    source = saved(tmp_path, wav(BEFORE, AFTER))
    path, _ = one(tmp_path, np.zeros((1000, 1)), AudioFormat.of(source), start_frame=1000)
    chunks = read_chunks(path)
    assert chunks.bext is not None
    assert chunks.bext.time_reference == 97_000
    assert chunks.cues is not None
    assert [(point.id, point.frame) for point in chunks.cues.points] == [(2, 500)]
    assert chunks.acid is not None
    assert chunks.acid.beats == 4


def test_chunks_of_another_rate_are_scaled(tmp_path: Path) -> None:
    source = saved(tmp_path, wav(BEFORE, AFTER))
    path, _ = one(tmp_path, np.zeros((4001, 1)), AudioFormat.of(source), rate_hz=96_000)
    chunks = read_chunks(path)
    assert chunks.rate_hz == 96_000
    assert chunks.bext is not None
    assert chunks.bext.time_reference == 192_000
    assert chunks.cues is not None
    assert [point.frame for point in chunks.cues.points] == [200, 3000]
    assert chunks.acid is not None
    assert chunks.acid.beats == 8
    part, _ = one(tmp_path, np.zeros((2000, 1)), AudioFormat.of(source), rate_hz=96_000, start_frame=1000)
    moved = read_chunks(part)
    assert moved.bext is not None
    assert moved.bext.time_reference == 194_000
    assert moved.cues is not None
    assert [(point.id, point.frame) for point in moved.cues.points] == [(2, 1000)]


def test_the_depth_in_ixml_follows(tmp_path: Path) -> None:
    source = saved(tmp_path, wav(BEFORE, AFTER))
    path, _ = one(tmp_path, np.full((2000, 1), 2.0), AudioFormat.of(source))
    chunks = read_chunks(path)
    assert chunks.ixml is not None
    assert chunks.ixml.get("SPEED/AUDIO_BIT_DEPTH") == "32"
    assert [each.name for each in chunks.before] == [b"fmt ", b"fact", b"bext", b"iXML", b"acid", b"what"]
    assert chunks.before[1].body == struct.pack("<I", 2000)


def test_what_describes_channels_goes_when_they_change(tmp_path: Path) -> None:
    tracks = ixml("<NOTE>n</NOTE><TRACK_LIST><TRACK><NAME>Left</NAME></TRACK></TRACK_LIST>")
    source = saved(tmp_path, wav([(b"chna", bytes(4)), (b"iXML", tracks), (b"what", b"ever")]))
    path, _ = one(tmp_path, np.zeros((2000, 2)), AudioFormat.of(source), channels=2)
    chunks = read_chunks(path)
    assert [each.name for each in chunks.all] == [b"fmt ", b"iXML", b"what"]
    assert chunks.ixml is not None
    assert chunks.ixml.to_bytes() == ixml("<NOTE>n</NOTE>")


@pytest.mark.parametrize(("kind", "name"), [("AIFF", "a.aiff"), ("RIFX", "a.wav")])
def test_more_than_4_gib_where_the_container_has_no_room(tmp_path: Path, kind: str, name: str) -> None:
    if kind == "AIFF":
        source = write(tmp_path / name, phrase(), kind="AIFF", subtype="PCM_24")
    else:
        source = tmp_path / name
        sf.write(source, phrase(), 48_000, subtype="PCM_24", format="WAV", endian="BIG")
    like = AudioFormat.of(source)
    plan = plan_for(like, subtype="PCM_24", channels=2, rate_hz=48_000, frames=1 << 30)
    chunks, told_of = chunks_for(like, plan, 0, 1 << 30, is_changed=True)
    assert plan.container == "WAV"
    assert told_of
    head = assemble(chunks, data_bytes=6 << 30, frames=1 << 30).head[0]
    assert isinstance(head, bytes)
    assert head.startswith(b"RF64")


def test_a_channel_mask_stays_only_with_its_channels(tmp_path: Path) -> None:
    fmt = struct.pack("<HHIIHH", 0xFFFE, 2, 48_000, 192_000, 4, 16) + struct.pack("<HHI", 22, 16, 0x30)
    fmt += struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    source = saved(tmp_path, wav(fmt=fmt))
    same, _ = one(tmp_path, phrase(), AudioFormat.of(source))
    assert read_chunks(same).before[0].body == fmt
    mono, _ = one(tmp_path, phrase(channels=1), AudioFormat.of(source), channels=1)
    described = read_chunks(mono).sample_format
    assert described is not None
    assert (described.channels, described.channel_mask, described.is_extensible) == (1, 0, True)


def test_markers_of_an_aiff_stay_also_as_floats(tmp_path: Path) -> None:
    sound = phrase(frames=100, channels=1)
    plain = write(tmp_path / "plain.aiff", sound, kind="AIFF").read_bytes()
    mark = chunk(b"MARK", struct.pack(">H", 1) + struct.pack(">hIB", 1, 50, 3) + b"abc", order=">")
    body = plain[8:] + mark
    source = saved(tmp_path, b"FORM" + struct.pack(">I", len(body)) + body, "source.aiff")
    path, _ = one(tmp_path, sound, AudioFormat.of(source))
    assert path.read_bytes() == source.read_bytes()
    loud, written = one(tmp_path, sound * 3, AudioFormat.of(source), start_frame=10, frames=80)
    marks = read_chunks(loud).marks
    assert marks is not None
    assert [(each.frame, each.name) for each in marks.marks] == [(40, "abc")]
    assert sf.info(loud).subtype == written.subtype == "FLOAT"
    np.testing.assert_array_equal(read(loud)[:, 0], (sound[:80, 0] * 3).astype(np.float32))


def test_all_tags_of_a_flac_stay(tmp_path: Path) -> None:
    source = write(tmp_path / "source.flac", phrase(), kind="FLAC")
    content = source.read_bytes()
    tags = struct.pack("<I", 4) + b"mine" + struct.pack("<II", 1, 7) + b"BPM=128"
    picture = struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">6I", 0, 1, 1, 24, 0, 4) + b"\x89PNG"
    cuesheet = b"cues".ljust(395, b"\0") + b"\1" + bytes(8) + b"\xff" + bytes(27)
    at = 42
    while not content[at] & 0x80:  # our own tags instead of libsndfile's
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    blocks = ((4, tags), (6, picture), (5, cuesheet))
    made = b"".join(bytes([kind]) + len(body).to_bytes(3, "big") + body for kind, body in blocks)
    source.write_bytes(content[:42] + made + content[at:])
    like = AudioFormat.of(source)
    path, _ = one(tmp_path, phrase(), like)
    assert tags in path.read_bytes()
    assert picture in path.read_bytes()
    assert b"cues" in path.read_bytes()
    np.testing.assert_array_equal(read(path), phrase())
    part, _ = one(tmp_path, phrase(), like, start_frame=10)
    assert tags in part.read_bytes()
    assert b"cues" not in part.read_bytes()


def test_damaged_tags_of_a_flac_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    for content in (b"RIFF", b"fLaC", b"fLaC\x84\0\0\x09abc", b"fLaC\x04\0\0\1a\x84\0\0"):
        path.write_bytes(content)
        assert read_blocks(path) == ((FlacBlock(4, b"a"),) if b"\1a" in content else ())


@pytest.mark.parametrize("was", ["FLOAT", "DOUBLE"])
def test_aiff_of_floats_at_another_depth(tmp_path: Path, was: str) -> None:
    source = write(tmp_path / "source.aifc", phrase(), kind="AIFF", subtype=was)
    for subtype in ("FLOAT", "DOUBLE", "PCM_16"):
        path, written = one(tmp_path, phrase(), AudioFormat.of(source), subtype=subtype)
        assert sf.info(path).subtype == written.subtype == subtype
        np.testing.assert_array_equal(read(path), phrase())


def test_a_caf_with_more_than_sound_says_what_is_lost(tmp_path: Path) -> None:
    source = write(tmp_path / "source.caf", phrase(), kind="CAF")
    source.write_bytes(source.read_bytes() + struct.pack(">4sq", b"mark", 8) + bytes(8))
    _, written = one(tmp_path, phrase(), AudioFormat.of(source))
    assert written.warnings == ("markers and tags of a CAF are not kept",)
