"""What a conversion of one audio file gets, whichever it is, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Tell = Callable[[float, str], None]
Check = Callable[[], None]

Row = dict[str, Any]
"""A result: `role`, `file` (its name in the job's folder), `media_type`, and `about`: plain data for the
musician and the sidecar, of which `note` is said in the result's line."""


@dataclass(frozen=True)
class AudioJob:
    """One conversion of `source`; results are written into `folder`.

    `parameters` has every parameter that the catalogue gives the local engine. `models` are the files of the
    models that it always needs; `fetch_model` gives one that is fetched when first used, and raises
    ModelError. `progress(fraction, doing)` tells how far it is; `check()` raises Cancelled, and is to be
    called at least ten times a second of work.
    """

    source: Path
    parameters: Mapping[str, Any]
    folder: Path
    models: Mapping[str, Path]
    threads: int
    progress: Tell
    check: Check
    fetch_model: Callable[[str], Path]

    def stage(self, start: float, end: float, **changes: Any) -> AudioJob:
        """The same job with its progress laid into start..end of the whole, and other `changes`."""

        def progress(fraction: float, doing: str) -> None:
            self.progress(start + (end - start) * fraction, doing)

        return replace(self, progress=progress, **changes)
