"""What an engine process can be asked to do. Heavy imports happen inside the tasks, when they are needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import AudioError


@dataclass(frozen=True)
class TaskContext:
    """What a task gets besides its arguments.

    `progress(fraction, doing)` tells how far it is; `check()` raises Cancelled when it shall stop.
    """

    threads: int
    progress: Callable[[float, str], None]
    check: Callable[[], None]


Task = Callable[[Mapping[str, Any], TaskContext], Any]


@contextmanager
def _unchanged(arguments: Mapping[str, Any]) -> Iterator[Path]:
    """The source, which must be in the same state before and after: else the result would be a lie."""
    source, expected = Path(arguments["source"]), arguments.get("fingerprint")
    if expected is not None and _state(source) != expected:
        raise _changed(source)
    yield source
    if expected is not None and _state(source) != expected:
        raise _changed(source)


def _state(source: Path) -> list[int]:
    try:
        stat = source.stat()
    except OSError as error:
        raise AudioError(
            f"it cannot be read: {error.strerror}.", file=source, remedy="Bounce it again."
        ) from error
    return [stat.st_size, stat.st_mtime_ns]


def _changed(source: Path) -> AudioError:
    return AudioError(
        "it was written to again while it was being read.",
        file=source,
        remedy="Its new version is a bounce of its own and is taken by itself once it is finished.",
    )


def _probe(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    from bridge.media import audio_files, clues

    with _unchanged(arguments) as source:
        info = audio_files.probe(source, check=context.check)
        folder = Path(arguments["project_folder"])
        told = clues.gather(source, folder, rate_hz=info.rate_hz, duration_s=info.duration_s)
    return {**info.to_json(), "told": [one.to_json() for one in told]}


def _audio_to_midi(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    from bridge.engine import notes
    from bridge.engine.hearing import Hearings

    with _unchanged(arguments) as source:
        ear = notes.Ear(
            source,
            {name: Path(path) for name, path in arguments["models"].items()},
            arguments["made_of"],
            Hearings(Path(arguments["hearings"]), arguments["audio"]),
            threads=context.threads,
            progress=context.progress,
            check=context.check,
            fetch_model=_fetcher(arguments, context),
        )
        return notes.audio_to_midi(ear, arguments["parameters"], Path(arguments["folder"]))


def load_ahead() -> None:
    """Imports what is slow to import."""
    from bridge.engine import notes  # noqa: F401  for later
    from bridge.media import audio_files  # noqa: F401  the same


def _warm(arguments: Mapping[str, Any], context: TaskContext) -> Any:  # noqa: ARG001  a task's shape
    """Loads what is slow to load, so that the next bounce finds it there."""
    from bridge.engine import basic_pitch

    basic_pitch.warm(Path(arguments["models"]["basic-pitch"]))


def _fit(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    """Lays results onto their source. One that has changed or gone costs its place only, not the results."""
    from bridge.engine import fitting

    def fitted(source: Path | None, why: str = "") -> Any:
        return fitting.fit(
            arguments["files"],
            Path(arguments["folder"]),
            source=source,
            was_trimmed=arguments["was_trimmed"],
            why=why,
            check=context.check,
            progress=context.progress,
        )

    if arguments["source"] is None:
        return fitted(None)
    try:
        with _unchanged(arguments) as source:
            return fitted(source)
    except AudioError as error:
        if error.file != str(Path(arguments["source"])):
            raise
    return fitted(None, "the bounce has changed or gone meanwhile, so it begins with its own first sound")


def _trim(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    from bridge.engine import trimming

    with _unchanged(arguments) as source:
        return str(trimming.trimmed(source, Path(arguments["folder"]), context.check))


def _on_audio(module: str, function: str) -> Task:
    """A task that makes `Row`s of an `AudioJob`: `function` of `module`, imported when it is needed."""

    def task(arguments: Mapping[str, Any], context: TaskContext) -> Any:
        from bridge.engine.audio_job import AudioJob

        work = getattr(importlib.import_module(module), function)
        with _unchanged(arguments) as source:
            return work(
                AudioJob(
                    source=source,
                    parameters=arguments["parameters"],
                    folder=Path(arguments["folder"]),
                    models={name: Path(path) for name, path in arguments["models"].items()},
                    threads=context.threads,
                    progress=context.progress,
                    check=context.check,
                    fetch_model=_fetcher(arguments, context),
                )
            )

    return task


def _fetcher(arguments: Mapping[str, Any], context: TaskContext) -> Callable[[str], Path]:
    """Gives a model's file, fetched now if it is not here."""
    from bridge.engine.models import ModelStore

    store = ModelStore(Path(arguments["models_folder"]))

    def fetch(name: str) -> Path:
        return store.for_use(
            name,
            report=lambda words: context.progress(0.0, words),
            check=context.check,
            progress=lambda fraction: context.progress(0.0, f"fetching {name}: {fraction:.0%}"),
        )

    return fetch


def _measure(arguments: Mapping[str, Any], context: TaskContext) -> Any:  # noqa: ARG001  a task's shape
    """The seconds of sound in a file."""
    from bridge.engine import rehearsal

    return rehearsal.length_of(Path(arguments["source"]))


def _rehearse(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    from bridge.engine import rehearsal

    source = Path(arguments["source"]) if arguments["source"] else None
    folder = Path(arguments["folder"])
    return rehearsal.rehearse(
        rehearsal.Job(arguments["conversion"], arguments["parameters"], source, folder, context.check)
    )


TASKS: Mapping[str, Task] = {
    "probe": _probe,
    "audio_to_midi": _audio_to_midi,
    "file_convert": _on_audio("bridge.engine.editing.convert", "file_convert"),
    "audio_cutter": _on_audio("bridge.engine.editing.cut", "cut"),
    "audio_speed_changer": _on_audio("bridge.engine.editing.speed", "change_speed"),
    "audio_mastering": _on_audio("bridge.engine.mastering.master", "master"),
    "extract_key_bpm": _on_audio("bridge.engine.analysis.key_bpm", "extract_key_bpm"),
    "Extraction": _on_audio("bridge.engine.separation.extraction", "extract"),
    "denoise": _on_audio("bridge.engine.enhancement.denoise", "denoise"),
    "deecho": _on_audio("bridge.engine.enhancement.deecho", "deecho"),
    "dereverb": _on_audio("bridge.engine.enhancement.dereverb", "dereverb"),
    "fit": _fit,
    "measure": _measure,
    "rehearse": _rehearse,
    "trim": _trim,
    "warm": _warm,
}
