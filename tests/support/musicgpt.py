"""What tests of the MusicGPT client share: a client for a server of theirs, requests, the API's answers."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bridge.clock import Clock, SystemClock
from bridge.config import MusicGPTSettings
from bridge.conversions.catalogue import conversion
from bridge.conversions.model import MUSICGPT
from bridge.converters.base import Artifact, ConversionRequest, Progress, Ticket
from bridge.converters.fitting import Fitter, Raw
from bridge.converters.musicgpt import MusicGPTConverter
from bridge.jobs.model import Fingerprint
from bridge.testing import ManualClock
from support.tones import write_tone

KEY = "msk-4c1f9e07b2d84a55-secret"
MIDI = b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0"
MP3 = b"ID3\4\0\0\0\0\0\0" + b"\xff\xfb\x90\0" * 100
CSV = b"start_time_s,end_time_s,pitch_midi,velocity\n0.0,0.5,60,90\n"


class PlainFitter:
    """A fitter without an engine: files are laid down as they came."""

    def __init__(self, trimmed: bytes | None = None) -> None:
        self.trims: list[Path] = []
        self.fits: list[dict[str, Any]] = []
        self._trimmed = trimmed

    def trimmed(self, source: Path, fingerprint: Fingerprint | None, folder: Path) -> Path:
        self.trims.append(folder)
        if self._trimmed is None:
            return source
        (folder / "trimmed.wav").write_bytes(self._trimmed)
        return folder / "trimmed.wav"

    def fit(self, files: Sequence[Raw], folder: Path, **how: Any) -> list[Artifact]:
        self.fits.append({"files": {raw.role: raw for raw in files}, **how})
        return [self._laid(raw, folder) for raw in files]

    def _laid(self, raw: Raw, folder: Path) -> Artifact:
        return Artifact(raw.role, Path(shutil.copy(raw.path, folder)), raw.media_type)


def client(
    base_url: str,
    spool: Path,
    *,
    key: Callable[[], str | None] = lambda: KEY,
    fitter: Fitter | None = None,
    clock: Clock | None = None,
    timeouts: tuple[float, float, float] = (2.0, 2.0, 2.0),
    **settings: Any,
) -> MusicGPTConverter:
    return MusicGPTConverter(
        MusicGPTSettings(base_url=f"{base_url}/api/public", **settings),
        key,
        fitter or PlainFitter(),
        spool,
        clock or SystemClock(),
        timeouts=timeouts,
        chance=random.Random(1),
    )


def a_request(
    folder: Path, name: str = "audio_to_midi", *, seconds: float = 0.2, **parameters: Any
) -> ConversionRequest:
    """For a bounce of a tone in `folder`."""
    row = conversion(name)
    path = folder / "Kürze Loop 'A'.wav"
    if not path.exists():
        write_tone(path, seconds=seconds)
    values = row.resolve(parameters, converter=MUSICGPT)
    return ConversionRequest(
        name, values, path, "key", Fingerprint.of(path), duration_s=seconds, nonce="n0nce"
    )


def accepted(task: str = "task789", **fields: Any) -> dict[str, Any]:
    return {"success": True, "task_id": task, "message": "MIDI conversion task queued successfully", **fields}


def standing(status: str = "COMPLETED", **fields: Any) -> dict[str, Any]:
    return {"success": True, "conversion": {"task_id": "task789", "status": status, "message": "", **fields}}


def ended(converter: MusicGPTConverter, ticket: Ticket, clock: ManualClock) -> Progress:
    """Polls as the runner does, on the test's own clock, until it is over."""
    for _ in range(200):
        progress = converter.poll(ticket)
        if progress.state != "running":
            return progress
        clock.advance(progress.poll_after_s)
    raise AssertionError("it does not end")
