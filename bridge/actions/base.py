"""What actions are made of: the bridge that runs them, and how arguments are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bridge.errors import WrongUse
from bridge.jobs.model import Fingerprint, JobRequest
from bridge.jobs.quoting import QuotedStep
from bridge.jobs.records import ConversionRecord, JobRecord
from bridge.jobs.sending import Fate
from bridge.jobs.views import Views
from bridge.midi.messages import Command, PlayState
from bridge.presets import PresetShelf

DEFAULT_PRESET = "audio-to-midi"
LOOK_TIMEOUT_S = 600.0
GREATEST_ID = 2**63 - 1
"""The journal's numbers do not go beyond."""


class Surface(Protocol):
    """What the musician's hands are on: the preset at hand, slots with results, and what plays."""

    @property
    def preset(self) -> str:
        """What `convert_latest` takes where nobody says otherwise."""
        ...

    @property
    def slots(self) -> Mapping[int, int]:
        """The job in each slot that is not empty."""
        ...

    def preset_row(self) -> list[str]:
        """The presets that next and previous go through, by the settings; empty: all."""
        ...

    def select(self, preset: str) -> None: ...
    def put(self, slot: int, job: int | None) -> None: ...

    def playing(self) -> Mapping[str, PlayState]:
        """What each playing does, by its id: the job's number, a slash, and the result's."""
        ...

    def tell(self, command: Command) -> None:
        """Hands it to the MIDI process. Raises BridgeError where there is none."""
        ...

    def reload(self) -> int:
        """Takes up pads and keys of the settings anew; gives how many. Raises ConfigError."""
        ...


class Bridge(Protocol):
    """What actions need of the bridge that runs them."""

    @property
    def journal(self) -> Views: ...
    @property
    def presets(self) -> PresetShelf: ...
    @property
    def home(self) -> Path: ...

    def submit(self, request: JobRequest) -> int:
        """The job's id, once the file has been looked at. Raises what makes that impossible."""
        ...

    def project_folder_of(self, source: Path) -> Path:
        """Where results of this file go if nobody says otherwise."""
        ...

    def is_private(self, source: Path) -> bool:
        """True when the file lies in a folder whose audio never leaves this machine."""
        ...

    def project_folder_of_texts(self) -> Path:
        """Where results go that come from no file in a project."""
        ...

    def quotes(self, request: JobRequest) -> list[QuotedStep]:
        """What each step of the request's preset would cost. Nothing is sent."""
        ...

    def cancel(self, job_id: int) -> list[ConversionRecord]:
        """Gives up what is open; gives the conversions that go on where they are paid for."""
        ...

    def retry(self, job_id: int, *, pay: bool = False) -> None:
        """Raises PaidAgain where it may cost once more, unless `pay`."""
        ...

    def resolve(self, job_id: int, fate: Fate, *, task: str = "", of: str = "") -> None:
        """Answers what nobody knows; `of` names one of several."""
        ...

    def allow_upload(self, folder: Path) -> int:
        """Audio below `folder` may be sent from now on; gives how many conversions waited for that."""
        ...

    def rescan(self) -> None: ...

    def pause(self, *, on: bool | None) -> bool:
        """Lets the engine rest, or go on (None: the other way round); gives whether it rests now."""
        ...

    @property
    def surface(self) -> Surface: ...

    def play(self, job_id: int, role: str, how: Mapping[str, Any]) -> Mapping[str, str]:
        """Plays the notes of a job; gives the id of each playing, with a word on it."""
        ...


Arguments = Mapping[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True)
class Action:
    """`parameters` maps each argument's name to what it means; those in `required` must be given.

    `check` raises WrongUse for values that can never be, whatever there is to act on.
    """

    name: str
    about: str
    parameters: Mapping[str, str]
    run: Callable[[Bridge, Arguments], Result]
    required: frozenset[str] = frozenset()
    check: Callable[[Arguments], object] = bool

    def misnamed(self, given: Iterable[str]) -> Iterator[WrongUse]:
        """A fault for each argument that it does not know, then for each that it needs and is not given."""
        names = set(given)
        remedy = f"Its arguments: {', '.join(self.parameters) or 'none'}."
        for name in sorted(names - set(self.parameters)):
            yield WrongUse(f"the action '{self.name}' does not know {name!r}.", remedy=remedy)
        for name in sorted(self.required - names):
            yield WrongUse(f"the action '{self.name}' needs {name!r}.", remedy=remedy)


def mtime_s(fingerprint: Fingerprint) -> float:
    return fingerprint.mtime_ns / 1e9


def path_of(value: object) -> Path:
    try:
        return Path(str(value)).expanduser()
    except RuntimeError:
        raise WrongUse(f"'{value}' names a user that is not known here.", remedy="Write the path.") from None


def whole_path(value: object) -> Path:
    """From the root, without `..`: what is allowed or private is told by the folder."""
    return Path(os.path.abspath(path_of(value)))  # noqa: PTH100  resolve would follow links


def flag(arguments: Arguments, name: str) -> bool:
    """A yes or no, also as the text that a command line or an address gives."""
    value = arguments.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}
    if str(value).lower() not in words:
        raise WrongUse(f"'{name}' must be true or false, not {value!r}.")
    return words[str(value).lower()]


def overrides_of(value: object) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise WrongUse(f"'set' must be names with values, not {value!r}.", remedy="Say key=value.")
    return {str(name): given for name, given in (value or {}).items()}


def job_of(bridge: Bridge, arguments: Arguments) -> JobRecord:
    """The job that the arguments name; without one, the latest."""
    wanted = arguments.get("job")
    if wanted is None:
        latest = bridge.journal.jobs(limit=1)
        if not latest:
            raise WrongUse("there is no job yet.")
        return latest[0]
    try:
        number = int(wanted)
    except (TypeError, ValueError, OverflowError):
        raise WrongUse(
            f"a job is named by its number, not by {wanted!r}.", remedy="`bridge history` lists them."
        ) from None
    job = bridge.journal.job(number) if 0 < number <= GREATEST_ID else None
    if job is None:
        raise WrongUse(f"there is no job {wanted}.", remedy="`bridge history` lists them.")
    return job
