"""What came back from an API, laid into the project: asked of the engine, which has numpy and the decoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.conversions.model import Fit
from bridge.converters.base import Artifact
from bridge.jobs.model import Fingerprint


@dataclass(frozen=True)
class Raw:
    """A file as it came: `fit` says how it is laid into the project."""

    role: str
    path: Path
    media_type: str
    fit: Fit = "as_is"


class Fitter(Protocol):
    """All calls may come from any thread and wait for the engine."""

    def trimmed(self, source: Path, fingerprint: Fingerprint | None, folder: Path) -> Path:
        """A copy of `source` in `folder` without the silence at its ends; `source` itself where there is none.

        Raises AudioError, WorkerError.
        """
        ...

    def fit(
        self,
        files: Sequence[Raw],
        folder: Path,
        *,
        source: Path | None,
        fingerprint: Fingerprint | None,
        was_trimmed: bool = False,
    ) -> list[Artifact]:
        """The artifacts in `folder`, audio and notes as the project takes them.

        `source` is what was sent (None: nothing was); `was_trimmed` that `trimmed` of it was sent. Where the
        source has changed or gone, results begin at their own first sound, and their `about` says so.
        Raises AudioError, WorkerError.
        """
        ...
