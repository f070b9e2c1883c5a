"""AAC and WebM through an ffmpeg on the PATH: samples go in through a pipe, the file comes out."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from bridge.errors import AudioError
from bridge.media.ffmpeg_decode import complaint_of
from bridge.media.sample_depth import Floats

INSTALL_FFMPEG: Final = (
    "Install ffmpeg (Debian, Ubuntu: sudo apt install ffmpeg; macOS: brew install ffmpeg; "
    "Windows: winget install ffmpeg), or take mp3, ogg, flac or wav."
)
CODINGS: Final = {
    "aac": ("-c:a", "aac", "-b:a", "256k", "-f", "adts"),
    "webm": ("-c:a", "libopus", "-b:a", "160k", "-f", "webm"),
}


def encode(path: Path, coding: str, blocks: Iterable[Floats], *, rate_hz: int, channels: int) -> None:
    """Writes blocks of (frames, channels) as `aac` or `webm`; an older file is replaced.

    Raises AudioError where ffmpeg is missing or fails, and what the blocks raise.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioError(f"writing {coding} needs ffmpeg.", remedy=INSTALL_FFMPEG)
    command = [program, "-v", "error", "-y", "-protocol_whitelist", "file,pipe", "-f", "f32le"]
    command += ["-ar", str(rate_hz), "-ac", str(channels), "-i", "pipe:0"]
    command += ["-map_metadata", "-1", "-bitexact", *CODINGS[coding], f"file:{path}"]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints
        )
        assert process.stdin is not None
        try:
            # A pipe that breaks (on Windows with another error) is ffmpeg's end, which its exit code tells.
            with suppress(OSError), process.stdin as pipe:
                for block in blocks:
                    pipe.write(np.ascontiguousarray(block, "<f4").data.cast("B"))
            failed = process.wait() != 0
        finally:
            process.kill()  # does nothing to one that has ended
            process.wait()
        if failed:
            words = complaint_of(complaints) or "it gave no reason"
            raise AudioError(f"ffmpeg could not write it ({words}).", remedy=INSTALL_FFMPEG)
