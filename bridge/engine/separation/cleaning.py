"""What is cleaned before a sound is taken apart: each step on what the one before it has left."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bridge.conversions import catalogue
from bridge.conversions.model import LOCAL
from bridge.engine.audio_job import AudioJob

STEPS: Final = MappingProxyType({"Denoise": "denoise", "Deecho": "deecho", "Dereverb": "dereverb"})
"""In the order in which they are done: the option, and the name of its conversion and its function."""


@contextmanager
def cleaned(job: AudioJob) -> Iterator[tuple[AudioJob, str, list[str]]]:
    """The job with its source cleaned as `preprocessing_options` ask, what the steps say, and their models.

    The steps take the first half of the progress; the cleaned files are removed afterwards.
    """
    asked = job.parameters["preprocessing_options"] or ()
    steps = [(option, name) for option, name in STEPS.items() if option in asked]
    if not steps:
        yield job, "", []
        return
    folder = Path(tempfile.mkdtemp(prefix=".cleaning-", dir=job.folder))
    try:
        source, said, models = job.source, list[str](), list[str]()
        for number, (option, name) in enumerate(steps):
            begin, end = (0.5 * at / len(steps) for at in (number, number + 1))
            own = folder / name
            own.mkdir()
            parameters = catalogue.conversion(name).resolve({}, converter=LOCAL)
            step = job.stage(begin, end, source=source, folder=own, parameters=parameters)
            rows = getattr(importlib.import_module(f"bridge.engine.enhancement.{name}"), name)(step)
            clean = next(row for row in rows if row["role"] == "clean")
            source = own / clean["file"]
            models += clean["about"].get("models", [])
            said.append(f"{option} first: {clean['about'].get('note', '')}".removesuffix(": "))
        yield job.stage(0.5, 1.0, source=source), ". ".join(said), models
    finally:
        shutil.rmtree(folder, ignore_errors=True)
