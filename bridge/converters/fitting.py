"""What came back from an API, laid into the project by the engine, which has numpy and the decoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bridge.conversions.model import Fit
from bridge.converters.base import Artifact
from bridge.engine.worker import Worker
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
        """A copy of `source` in `folder` without the silence at its ends; `source` itself if it has none.

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


class EngineFitter:
    """Fits by the engine's tasks `fit` and `trim`; what came is kept in `folder/original`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def trimmed(self, source: Path, fingerprint: Fingerprint | None, folder: Path) -> Path:
        """As `Fitter.trimmed`."""
        arguments = {"source": str(source), "fingerprint": _plain(fingerprint), "folder": str(folder)}
        return Path(self._done("trim", arguments))

    def fit(
        self,
        files: Sequence[Raw],
        folder: Path,
        *,
        source: Path | None,
        fingerprint: Fingerprint | None,
        was_trimmed: bool = False,
    ) -> list[Artifact]:
        """As `Fitter.fit`."""
        arguments = {
            "files": [
                {"role": raw.role, "path": str(raw.path), "media_type": raw.media_type, "fit": raw.fit}
                for raw in files
            ],
            "folder": str(folder),
            "source": None if source is None else str(source),
            "fingerprint": _plain(fingerprint),
            "was_trimmed": was_trimmed,
        }
        return [
            Artifact(row["role"], folder / row["file"], row["media_type"], row["about"])
            for row in self._done("fit", arguments)
        ]

    def _done(self, task: str, arguments: Mapping[str, Any]) -> Any:
        return self._worker.call(task, arguments).future.result()


def _plain(fingerprint: Fingerprint | None) -> list[int] | None:
    return None if fingerprint is None else [fingerprint.size, fingerprint.mtime_ns]
