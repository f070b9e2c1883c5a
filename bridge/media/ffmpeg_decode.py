"""M4A, AAC and MP4 through an ffmpeg on the PATH, as a pipe: nothing is written to disk."""

# ruff: noqa: PLR2004
# The offsets and bit masks of a byte format are the format itself; names for each would hide it.

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from bridge.errors import AudioError
from bridge.media.raw_pcm import PcmFormat, Samples, decode

INSTALL_FFMPEG = (
    "Install ffmpeg (Debian, Ubuntu: sudo apt install ffmpeg; macOS: brew install ffmpeg; "
    "Windows: winget install ffmpeg), or export WAV."
)
EXPORT_AGAIN = "Export it again, as WAV if it can be."
# ffmpeg's demuxer for each family: with it named, a play list in disguise cannot make it open other files.
DEMUXERS = {"mp4": "mov", "aac": "aac"}
LONGEST_HEADER_BYTES = 1 << 16
ERROR_TEXT_BYTES = 2000
NO_STREAM = "matches no streams"
"""ffmpeg says so of a film without sound."""
NO_SOUND = "no sound in it"


@contextmanager
def ffmpeg_process(path: Path, *, kind: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """ffmpeg's standard output (a WAV of 32-bit floats) and its error text; it is ended on leaving."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioError("reading this kind of file needs ffmpeg.", remedy=INSTALL_FFMPEG, file=path)
    command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-f", DEMUXERS[kind]]
    command += [
        "-i",
        f"file:{path}",
        "-map",
        "0:a:0",
        "-c:a",
        "pcm_f32le",
        "-bitexact",
        "-f",
        "wav",
        "pipe:1",
    ]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
        )
        assert process.stdout is not None
        try:
            yield process.stdout, complaints
        finally:
            process.kill()  # does nothing to one that has ended
            process.stdout.close()
            process.wait()


def read_wav_head(pipe: IO[bytes]) -> PcmFormat | None:
    """The format from the head of a WAV that comes through a pipe; the pipe then stands at the samples."""
    if pipe.read(12)[8:] != b"WAVE":
        return None
    found: PcmFormat | None = None
    passed = 0
    while passed < LONGEST_HEADER_BYTES:
        head = pipe.read(8)
        if len(head) < 8:
            return None
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            return found
        body = pipe.read(min(size + size % 2, LONGEST_HEADER_BYTES))
        passed += len(body) + 8
        if name == b"fmt " and len(body) >= 16:
            _, channels, rate_hz = struct.unpack("<HHI", body[:8])
            found = PcmFormat(rate_hz, channels, 4, is_float=True, order="<")
    return None


def pipe_blocks(pipe: IO[bytes], pcm: PcmFormat, *, block_frames: int) -> Iterator[Samples]:
    """Blocks of (frames, channels) float32 until the pipe ends."""
    while raw := pipe.read(block_frames * pcm.frame_bytes):
        whole = len(raw) // pcm.frame_bytes * pcm.frame_bytes
        if whole:
            yield np.array(decode(raw[:whole], pcm))


def complaint_of(complaints: IO[bytes]) -> str:
    """The last line that ffmpeg wrote on its standard error, "" if none; in our words: no sound."""
    size = complaints.seek(0, 2)
    complaints.seek(max(0, size - ERROR_TEXT_BYTES))
    text = complaints.read().decode("utf-8", "replace").strip()
    if NO_STREAM in text:
        return NO_SOUND
    return text.splitlines()[-1].strip() if text else ""
