"""The table of actions: what a pad, a key, the command line, HTTP and the page can ask of the bridge.

One row an action; whoever triggers them looks the row up here, so a new one is there for all of them at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from bridge.errors import WrongUse
from bridge.jobs.model import Fingerprint, JobRequest, Priority
from bridge.jobs.records import JobRecord
from bridge.jobs.views import Views
from bridge.media.file_names import is_unicode
from bridge.presets import PresetShelf, check_overrides

DEFAULT_PRESET = "audio-to-midi"
LOOK_TIMEOUT_S = 600.0
GREATEST_ID = 2**63 - 1
"""The journal's numbers do not go beyond."""


class Bridge(Protocol):
    """What actions need of the bridge that runs them."""

    @property
    def journal(self) -> Views: ...
    @property
    def presets(self) -> PresetShelf: ...

    def submit(self, request: JobRequest) -> int:
        """The job's id, once the file has been looked at. Raises what makes that impossible."""
        ...

    def project_folder_of(self, source: Path) -> Path:
        """Where results of this file go if nobody says otherwise."""
        ...

    def is_private(self, source: Path) -> bool:
        """True when the file lies in a folder whose audio never leaves this machine."""
        ...

    def cancel(self, job_id: int) -> None: ...
    def retry(self, job_id: int) -> None: ...
    def rescan(self) -> None: ...


Arguments = Mapping[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True)
class Action:
    """`parameters` maps each argument's name to what it means; those in `required` must be given."""

    name: str
    about: str
    parameters: Mapping[str, str]
    run: Callable[[Bridge, Arguments], Result]
    required: frozenset[str] = frozenset()


def _mtime_s(fingerprint: Fingerprint) -> float:
    return fingerprint.mtime_ns / 1e9


def _path(value: object) -> Path:
    try:
        return Path(str(value)).expanduser()
    except RuntimeError:
        raise WrongUse(f"'{value}' names a user that is not known here.", remedy="Write the path.") from None


def _flag(arguments: Arguments, name: str) -> bool:
    """A yes or no, also as the text that a command line or an address gives."""
    value = arguments.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}
    if str(value).lower() not in words:
        raise WrongUse(f"'{name}' must be true or false, not {value!r}.")
    return words[str(value).lower()]


def _overrides(value: object) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise WrongUse(f"'set' must be names with values, not {value!r}.", remedy="Say key=value.")
    return {str(name): given for name, given in (value or {}).items()}


def _convert_file(bridge: Bridge, arguments: Arguments) -> Result:
    path = _path(arguments["file"])
    if not path.is_file():
        raise WrongUse("there is no such file.", file=path, remedy="Check the path.")
    path = path.absolute()
    if not is_unicode(str(path)):
        raise WrongUse("its name is not written in Unicode.", remedy="Give the file another name.")
    preset = str(arguments.get("preset") or DEFAULT_PRESET)
    overrides = _overrides(arguments.get("set"))
    check_overrides(bridge.presets.get(preset), overrides)
    to = arguments.get("to")
    fingerprint = Fingerprint.of(path)
    request = JobRequest(
        source=path,
        fingerprint=fingerprint,
        preset=preset,
        project_folder=_path(to).absolute() if to else bridge.project_folder_of(path),
        trigger=str(arguments.get("trigger") or "hand"),
        priority=Priority.BATCH if _flag(arguments, "batch") else Priority.BY_HAND,
        private=_flag(arguments, "private") or bridge.is_private(path),
        overrides=overrides,
        closed_at=_mtime_s(fingerprint),
    )
    return {"job": bridge.submit(request)}


def _convert_latest(bridge: Bridge, arguments: Arguments) -> Result:
    latest = bridge.journal.latest_source()
    if latest is None:
        raise WrongUse("there is no bounce yet.", remedy="Export something into a watched folder first.")
    return _convert_file(bridge, {**arguments, "file": str(latest)})


def _job(bridge: Bridge, arguments: Arguments) -> JobRecord:
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


def _cancel(bridge: Bridge, arguments: Arguments) -> Result:
    job = _job(bridge, arguments)
    bridge.cancel(job.id)
    return {"job": job.id}


def _retry(bridge: Bridge, arguments: Arguments) -> Result:
    job = _job(bridge, arguments)
    bridge.retry(job.id)
    return {"job": job.id}


def _redeliver(bridge: Bridge, arguments: Arguments) -> Result:
    """Whatever of the job's results is gone from its folder comes back; the cache makes it quick and free."""
    job = _job(bridge, arguments)
    detail = bridge.journal.detail(job.id)
    assert detail is not None
    for part in detail.parts:
        if not part.path.is_file():
            raise WrongUse("the bounce itself is gone.", file=part.path, remedy="Bounce it again.")
    jobs = []
    for part in detail.parts:
        request = JobRequest(
            source=part.path,
            fingerprint=Fingerprint.of(part.path),
            preset=job.preset,
            project_folder=job.project_folder,
            trigger="redeliver",
            priority=Priority.BY_HAND,
            private=job.private,
            overrides=job.overrides,
            closed_at=part.closed_at,
        )
        jobs.append(bridge.submit(request))
    return {"job": jobs[0], "jobs": jobs}


def _rescan(bridge: Bridge, arguments: Arguments) -> Result:  # noqa: ARG001  an action's shape
    bridge.rescan()
    return {}


_PRESET_WORDS = {
    "preset": "which preset; without it the default one",
    "to": "the folder for the results",
    "set": "parameters that replace the preset's",
    "private": "true: the audio does not leave this machine",
}
_JOB_WORDS = {"job": "the job's number; without it the latest"}

_ROWS = (
    Action("convert_latest", "Convert the latest bounce.", _PRESET_WORDS, _convert_latest),
    Action(
        "convert_file",
        "Convert a file.",
        {"file": "the audio file", **_PRESET_WORDS, "batch": "true: everything else goes first"},
        _convert_file,
        frozenset({"file"}),
    ),
    Action("cancel", "Cancel a job.", _JOB_WORDS, _cancel),
    Action("retry", "Try a failed, waiting or cancelled job again.", _JOB_WORDS, _retry),
    Action("redeliver", "Put a job's results into the project folder again.", _JOB_WORDS, _redeliver),
    Action("rescan", "Look through all watched folders now.", {}, _rescan),
)

ACTIONS: Mapping[str, Action] = MappingProxyType({row.name: row for row in _ROWS})

INTERNAL = frozenset({"trigger"})
"""Arguments that our own callers add: who asked."""


def perform(bridge: Bridge, name: str, arguments: Arguments) -> Result:
    """Does it. Raises WrongUse for an unknown action or argument, else what the action raises."""
    action = ACTIONS.get(name.replace("-", "_"))
    if action is None:
        near = difflib.get_close_matches(name, ACTIONS, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(ACTIONS)}."
        raise WrongUse(f"there is no action '{name}'.", remedy=hint)
    unknown = sorted(set(arguments) - set(action.parameters) - INTERNAL)
    missing = sorted(action.required - set(arguments))
    if unknown or missing:
        known = ", ".join(action.parameters) or "none"
        what = f"does not know {unknown[0]!r}" if unknown else f"needs {missing[0]!r}"
        raise WrongUse(f"the action '{name}' {what}.", remedy=f"Its arguments: {known}.")
    return action.run(bridge, arguments)
