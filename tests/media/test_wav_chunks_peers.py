"""Our chunks as other programs read them, and theirs as we do: wavinfo, sndfile-info, ffprobe, ffmpeg."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf

from bridge.media.wav_assembly import assemble, put, write_chunks
from bridge.media.wav_bext import Bext, Loudness
from bridge.media.wav_chunks import WavChunks, read_chunks
from bridge.media.wav_cues import CuePoint, Cues, Labels, Loop, Sampler, label, region
from bridge.media.wav_facts import musical_facts
from bridge.media.wav_ixml import Ixml
from bridge.media.wav_tags import Acid, Info
from support.audio_samples import phrase, write
from support.wav_files import bext, ixml


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not on this machine")


def said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A file of ours that holds every kind of chunk."""
    source = write(tmp_path / "source.wav", phrase(frames=4800), subtype="PCM_24")
    chunks = (
        read_chunks(source)
        .with_typed(
            Bext.parse(bext(time_reference=1 << 33, description=b"Bounce", loudness=(-2301, 5, -99, 1, 2)))
        )
        .with_typed(Ixml.parse(ixml("<PROJECT>Song</PROJECT><SCENE>3</SCENE><TAKE>2</TAKE>")))
        .with_typed(Acid.make(tempo_bpm=97.5, beats=8, meter=(7, 8), root_note=62))
        .with_typed(Cues((CuePoint(1, 100, 100), CuePoint(2, 2000, 2000))))
        .with_typed(Labels((label(1, "Verse"), label(2, "Chorus"), region(2, 480))))
        .with_typed(Info.make({"INAM": "Title", "IART": "Artist"}))
        .with_typed(Sampler(20_833, 62, 0, (Loop(1, 0, 10, 1000),)))
    )
    write_chunks(source, tmp_path / "ours.wav", chunks)
    return tmp_path / "ours.wav"


def test_wavinfo_reads_the_same(ours: Path) -> None:
    wavinfo: Any = pytest.importorskip("wavinfo")
    read = wavinfo.WavInfoReader(str(ours))
    assert read.bext.time_reference == 1 << 33
    assert (read.bext.description, read.bext.originator) == ("Bounce", "Studio")
    assert (read.bext.originator_date, read.bext.originator_time) == ("2026-01-31", "12:34:56")
    assert read.bext.loudness_value == pytest.approx(-23.01)
    assert read.bext.max_true_peak == pytest.approx(-0.99)
    assert (read.info.title, read.info.artist) == ("Title", "Artist")
    assert (read.ixml.project, read.ixml.scene, read.ixml.take) == ("Song", "3", "2")
    cues = {one.name: one.sample_offset for one in read.cues.cues}
    assert cues == {1: 100, 2: 2000}
    assert [read.cues.label_and_note(key)[0] for key in (1, 2)] == ["Verse", "Chorus"]
    assert read.cues.range(2) == 480
    assert read.smpl.midi_note == 62
    assert [(one.start, one.end) for one in read.smpl.sample_loops] == [(10, 1000)]


@needs("sndfile-info")
def test_sndfile_info_reads_the_same(ours: Path) -> None:
    told = " ".join(said("sndfile-info", ours).split())
    for words in (
        "Cue ID : 2 Pos : 2000 Chunk : data Chk Start : 0 Blk Start : 0 Offset : 2000",
        "labl : 1 : Verse labl : 2 : Chorus",
        "Flags : 0x0006 (Loop,RootNoteValid,StretchOn,RAMBased",
        "Beats : 8 Meter : 7/8 Tempo : 97.500000",
        "Midi Note : 62",
        "Start : 10 End : 1000",
        "INAM : Title",
        "Frames : 4800",
    ):
        assert words in told
    assert "***" not in told  # how libsndfile marks what it finds wrong
    broadcast = " ".join(said("sndfile-info", "--broadcast", ours).split())
    assert "Description : Bounce Originator : Studio" in broadcast
    assert "Loudness value : -23.01 LUFS" in broadcast


@needs("ffprobe")
def test_ffprobe_reads_the_same(ours: Path) -> None:
    options = ("-v", "error", "-of", "json", "-show_format", "-show_chapters", "-show_streams")
    told = json.loads(said("ffprobe", *options, ours))
    tags = {name.lower(): text for name, text in told["format"]["tags"].items()}
    assert tags["time_reference"] == str(1 << 33)
    assert (tags["encoded_by"], tags["title"], tags["artist"]) == ("Studio", "Title", "Artist")
    assert [one["tags"]["title"] for one in told["chapters"]] == ["Verse", "Chorus"]
    assert [one["start"] for one in told["chapters"]] == [100, 2000]
    assert told["streams"][0]["duration_ts"] == 4800


@needs("ffmpeg")
@pytest.mark.parametrize("large", ["never", "always"])
def test_files_of_ffmpeg(tmp_path: Path, large: str) -> None:
    made = tmp_path / "made.wav"
    tags = [
        "time_reference=123456789012",
        "description=From ffmpeg",
        "originator=ff",
        "title=Tone",
        "artist=Me",
    ]
    options = [part for tag in tags for part in ("-metadata", tag)]
    sine = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=0.1")
    said("ffmpeg", "-v", "error", *sine, *options, "-write_bext", "1", "-rf64", large, made)
    chunks = read_chunks(made)
    assert chunks.warnings == ()
    assert chunks.magic == (b"RF64" if large == "always" else b"RIFF")
    assert chunks.frames == 4800
    assert chunks.bext is not None
    assert (chunks.bext.time_reference, chunks.bext.description) == (123_456_789_012, "From ffmpeg")
    assert chunks.info["INAM"] == "Tone"
    assert musical_facts(chunks, 48_000).time_reference_frames == 123_456_789_012
    write_chunks(made, tmp_path / "again.wav", chunks)
    assert (tmp_path / "again.wav").read_bytes() == made.read_bytes()


NEEDS_SPARSE_FILES = pytest.mark.skipif(sys.platform == "win32", reason="NTFS would write 5 GiB of zeros")


def large_file(folder: Path) -> Path:
    """5 GiB of silence that takes no room on the disk, with chunks on both sides."""
    small = read_chunks(write(folder / "small.wav", phrase(frames=10)))
    chunks = small.with_typed(Bext.make(time_reference=96_000))
    chunks = replace(chunks, after=WavChunks().with_typed(Info.make({"INAM": "Large"})).before)
    around = assemble(chunks, data_bytes=5 << 30, frames=(5 << 30) // 4)
    path = folder / "large.wav"
    with path.open("wb") as file:
        put(file, around.head)
        file.truncate(file.tell() + (5 << 30))
        file.seek(0, 2)
        put(file, around.tail)
    return path


@NEEDS_SPARSE_FILES
def test_libsndfile_reads_our_rf64(tmp_path: Path) -> None:
    info = sf.info(large_file(tmp_path))
    assert (info.format, info.frames) == ("RF64", (5 << 30) // 4)


@NEEDS_SPARSE_FILES
@needs("ffprobe")
def test_ffprobe_reads_our_rf64(tmp_path: Path) -> None:
    path = large_file(tmp_path)
    told = json.loads(said("ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", path))
    assert told["streams"][0]["duration_ts"] == (5 << 30) // 4
    assert told["format"]["tags"]["time_reference"] == "96000"
    chunks = read_chunks(path)
    assert chunks.info == {"INAM": "Large"}
    assert chunks.bext is not None
    assert chunks.bext.loudness == Loudness()
