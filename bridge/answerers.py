"""Who answers the MusicGPT-compatible server: the local engine, or a rehearsal. And the wiring of all that.

Everything lives in a temporary folder. Of BRIDGE_HOME only the models are read, and no lock is taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.conversions.model import LOCAL, Conversion
from bridge.converters.base import Artifact, ConversionRequest
from bridge.converters.local import NEEDS_MODELS, LocalConverter
from bridge.engine.models import ModelStore
from bridge.engine.worker import Worker, WorkerOptions, spawn
from bridge.errors import BridgeError, Rejected, WorkerError
from bridge.media.midi_files import notes_to_smf
from bridge.media.musical_time import Timeline
from bridge.media.notes import NOTES_MEDIA_TYPE, Note, Transcription, in_time, transcription_from_json
from bridge.server.compatible import CompatibleServer, Options
from bridge.server.compatible.answering import Answerer, Asked, Made

API_BPM = 120.0
"""The API's MIDI files are always written at this tempo."""
CSV_HEADER = "start_time_s,end_time_s,pitch_midi,velocity,pitch_bend"
WRITABLE = frozenset({"mp3", "wav", "flac", "ogg"})
"""The formats that the engine can write without another program."""
FORMAT_PARAMETERS = ("output_extension", "target_format")
REALLY_DONE = frozenset({"audio_to_midi"})
"""What the local engine does in a rehearsal too."""

Make = Callable[[Path], tuple[Made, ...]]


class LocalAnswerer:
    """The local engine does what it can; everything else is refused. `folder` is for results."""

    def __init__(self, worker: Worker, models: ModelStore, folder: Path) -> None:
        self._worker = worker
        self._models = models
        self._folder = folder
        self._local = LocalConverter(worker, models, folder / "engine", folder / "heard")
        self._changed = threading.Condition()
        self._local.watch(self._wake)
        self._lock = threading.Lock()
        self._kept: dict[str, Future[tuple[Made, ...]]] = {}
        self._lengths: dict[Path, float] = {}

    def check(self, conversion: Conversion, parameters: Mapping[str, Any]) -> None:  # noqa: ARG002  the protocol's shape
        able = self._local.capabilities().get(conversion.name)
        if able is None or not able.available:
            for model in NEEDS_MODELS.get(conversion.name, ()):
                self._models.path(model)  # raises ModelError where it is missing
            raise Rejected(
                f"the local engine cannot do {conversion.name}.",
                remedy="Ask the MusicGPT API itself, or try it with `bridge serve --rehearse`.",
            )

    def measure(self, source: Path) -> float:
        if source not in self._lengths:
            call = self._worker.call("measure", {"source": str(source)}, lane="quick")
            self._lengths[source] = float(call.future.result())
        return self._lengths[source]

    def answer(self, asked: Asked) -> tuple[Made, ...]:
        return self._once(asked, lambda folder: self._converted(asked, folder))

    def _once(self, asked: Asked, make: Make) -> tuple[Made, ...]:
        """The same of the same audio is made once; a failure is no result, and tried again."""
        key = _key(asked)
        with self._lock:
            before = self._kept.get(key)
            mine = self._kept[key] = before or Future()
        if before is not None:
            return before.result()
        try:
            folder = self._folder / uuid.uuid4().hex
            folder.mkdir()
            made = make(folder)
        except OSError as error:
            mine.set_exception(BridgeError(f"there is no room for results: {error}."))
        except Exception as error:  # noqa: BLE001  it is raised from the future
            mine.set_exception(error)
        else:
            mine.set_result(made)
        if mine.exception() is not None:
            with self._lock:
                del self._kept[key]
        return mine.result()

    def _converted(self, asked: Asked, folder: Path) -> tuple[Made, ...]:
        request = self._request(asked)
        ticket = self._local.submit(request)
        with self._changed:
            while (progress := self._local.poll(ticket)).state == "running":
                self._changed.wait()
        if progress.state == "failed":
            raise progress.error or WorkerError("the engine failed.")
        return tuple(_as_the_api(one, folder) for one in self._local.fetch(ticket, folder, request))

    def _request(self, asked: Asked) -> ConversionRequest:
        row, source = asked.conversion, asked.source
        if source is None:
            raise Rejected("no audio came with the request.", remedy="Send an audio file.")
        known = {one.name for one in row.parameters if not one.only or LOCAL in one.only}
        given = {
            name: value for name, value in asked.parameters.items() if name in known and value is not None
        }
        return ConversionRequest(
            conversion=row.name,
            parameters=row.resolve(given, converter=LOCAL),
            source=source.path,
            key=_key(asked),
            audio=source.sha256,
            duration_s=source.seconds,
        )

    def _wake(self, _ticket: object) -> None:
        with self._changed:
            self._changed.notify_all()


class RehearsalAnswerer(LocalAnswerer):
    """Quick small results of the right kind for everything; notes are those of the local engine."""

    def check(self, conversion: Conversion, parameters: Mapping[str, Any]) -> None:
        if conversion.name in REALLY_DONE:
            super().check(conversion, parameters)
        for name in FORMAT_PARAMETERS:
            suffix = parameters.get(name)
            if suffix is not None and suffix not in WRITABLE:
                raise BridgeError(
                    f"a rehearsal cannot write {suffix} files.",
                    remedy=f"Choose {', '.join(sorted(WRITABLE))}.",
                )

    def answer(self, asked: Asked) -> tuple[Made, ...]:
        if asked.conversion.name in REALLY_DONE:
            return super().answer(asked)
        return self._once(asked, lambda folder: self._rehearsed(asked, folder))

    def _rehearsed(self, asked: Asked, folder: Path) -> tuple[Made, ...]:
        arguments = {
            "conversion": asked.conversion.name,
            "parameters": dict(asked.parameters),
            "source": str(asked.source.path) if asked.source else None,
            "folder": str(folder),
        }
        rows = self._worker.call("rehearse", arguments).future.result()
        return tuple(_made(row, folder) for row in rows)


def _key(asked: Asked) -> str:
    facts = [asked.conversion.name, dict(asked.parameters), asked.source.sha256 if asked.source else ""]
    facts.append({name: one.sha256 for name, one in asked.others.items()})
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _made(row: Mapping[str, Any], folder: Path) -> Made:
    return Made(
        role=row["role"],
        file=folder / row["file"] if "file" in row else None,
        wav=folder / row["wav"] if "wav" in row else None,
        text=row.get("text", ""),
        data=row.get("data"),
        seconds=row.get("seconds", 0.0),
    )


# Notes as the API gives them


def _as_the_api(artifact: Artifact, folder: Path) -> Made:
    """The engine's notes as a MIDI file at the API's tempo, or as the API's list of notes; else as it is."""
    if artifact.media_type == NOTES_MEDIA_TYPE:
        heard = transcription_from_json(json.loads(artifact.path.read_text(encoding="utf-8")))
        timeline = Timeline.constant(API_BPM)
        path = folder / "notes.mid"
        path.write_bytes(notes_to_smf(heard, timeline, track_name="Notes").data)
        (folder / "note_events.csv").write_text(_csv(heard), encoding="utf-8", newline="")
        return Made(artifact.role, path)
    if artifact.role == "note_events":
        return Made(artifact.role, folder / "note_events.csv")
    return Made(artifact.role, artifact.path)


def _csv(heard: Transcription) -> str:
    return "\n".join([CSV_HEADER, *map(_line, sorted(heard.notes, key=in_time)), ""])


def _line(note: Note) -> str:
    """Bends in thirds of a semitone, as many columns as there are."""
    bends = [str(round(3 * semitones)) for _, semitones in note.bends] or ["0"]
    return ",".join([str(note.start_s), str(note.end_s), str(note.pitch), str(note.velocity), *bends])


# The wiring


@contextmanager
def serving(
    options: Options, models: Path, *, rehearse: bool, engine_ahead: bool = False
) -> Iterator[CompatibleServer]:
    """A server that listens, until the end of the context. Raises WrongUse where its port is taken.

    With `engine_ahead` the engine's process starts now, else when it is first needed.
    """
    prefix = "bridge-rehearsal-" if rehearse else "bridge-serve-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        uploads = folder / "uploads"
        uploads.mkdir()
        threads = max(1, (os.cpu_count() or 2) - 1)
        process = spawn(None) if engine_ahead else None
        worker = Worker("engine", WorkerOptions(threads=threads, idle_exit_s=0.0), process=process)
        kind: type[LocalAnswerer] = RehearsalAnswerer if rehearse else LocalAnswerer
        try:
            answerer: Answerer = kind(worker, ModelStore(models), folder)
            server = CompatibleServer(answerer, uploads, options)
            server.start()
            try:
                yield server
            finally:
                worker.stop()
                server.stop()
        finally:
            worker.stop()
