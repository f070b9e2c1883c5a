"""Jobs for the local engine's functions, as a task makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bridge.conversions import catalogue
from bridge.engine.audio_job import AudioJob
from bridge.errors import ModelError


def no_model(name: str) -> Path:
    raise ModelError(f"the model {name} is not here in this test")


def audio_job(
    conversion: str,
    source: Path,
    folder: Path,
    *,
    models: Mapping[str, Path] | None = None,
    threads: int = 1,
    progress: Callable[[float, str], None] = lambda *_: None,
    check: Callable[[], None] = lambda: None,
    fetch_model: Callable[[str], Path] = no_model,
    **parameters: Any,
) -> AudioJob:
    """A job with the catalogue's defaults and `parameters` over them, unchecked; `folder` is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return AudioJob(
        source=source,
        parameters=catalogue.conversion(conversion).resolve({}, converter="local") | parameters,
        folder=folder,
        models=models or {},
        threads=threads,
        progress=progress,
        check=check,
        fetch_model=fetch_model,
    )
