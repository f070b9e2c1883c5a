"""Actions that begin jobs: from a file, from the latest bounce, from words alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.actions.base import (
    DEFAULT_PRESET,
    Arguments,
    Bridge,
    Result,
    flag,
    job_of,
    mtime_s,
    overrides_of,
    path_of,
    whole_path,
)
from bridge.errors import WrongUse
from bridge.jobs.model import Fingerprint, JobRequest, Priority
from bridge.media.file_names import is_unicode
from bridge.presets import BARE, check_overrides, input_of

WORDS_IN_A_NAME = 6


def preset_of(arguments: Arguments) -> str:
    """The name of the preset that the arguments mean. Raises WrongUse where they mean two."""
    preset, conversion = arguments.get("preset"), arguments.get("conversion")
    if preset and conversion:
        raise WrongUse("a preset and a conversion are two things.", remedy="Say one of them.")
    return f"{BARE}{conversion}" if conversion else str(preset or DEFAULT_PRESET)


def convert_file(bridge: Bridge, arguments: Arguments) -> Result:
    request = request_for_file(bridge, arguments)
    if flag(arguments, "allow_upload"):
        bridge.allow_upload(request.source.parent)
    return {"job": bridge.submit(request)}


def request_for_file(bridge: Bridge, arguments: Arguments) -> JobRequest:
    """The request for a file. Raises WrongUse, PresetError."""
    path = whole_path(arguments["file"])
    if not path.is_file():
        raise WrongUse("there is no such file.", file=path, remedy="Check the path.")
    if not is_unicode(str(path)):
        raise WrongUse("its name is not written in Unicode.", remedy="Give the file another name.")
    to = arguments.get("to")
    return _request(
        bridge,
        arguments,
        path,
        project_folder=path_of(to).absolute() if to else bridge.project_folder_of(path),
        private=flag(arguments, "private") or bridge.is_private(path),
    )


def _request(
    bridge: Bridge, arguments: Arguments, path: Path, *, project_folder: Path, private: bool
) -> JobRequest:
    preset = preset_of(arguments)
    overrides = overrides_of(arguments.get("set"))
    check_overrides(bridge.presets.get(preset), overrides)
    fingerprint = Fingerprint.of(path)
    return JobRequest(
        source=path,
        fingerprint=fingerprint,
        preset=preset,
        project_folder=project_folder,
        trigger=str(arguments.get("trigger") or "hand"),
        priority=Priority.BATCH if flag(arguments, "batch") else Priority.BY_HAND,
        private=private,
        overrides=overrides,
        closed_at=mtime_s(fingerprint),
        as_known=flag(arguments, "as_known"),
    )


def convert_latest(bridge: Bridge, arguments: Arguments) -> Result:
    latest = bridge.journal.latest_source()
    if latest is None:
        raise WrongUse("there is no bounce yet.", remedy="Export something into a watched folder first.")
    at_hand = {} if arguments.get("conversion") else {"preset": bridge.surface.preset}
    pressed = {"as_known": "trigger" in arguments}
    return convert_file(bridge, {**at_hand, **pressed, **arguments, "file": str(latest)})


def convert_text(bridge: Bridge, arguments: Arguments) -> Result:
    """For what begins with words alone, such as a song or a sound."""
    return {"job": bridge.submit(request_for_text(bridge, arguments))}


def request_for_text(bridge: Bridge, arguments: Arguments) -> JobRequest:
    """The request for words alone: they are written to a file of ours, which is what the job begins with.

    Raises WrongUse, PresetError.
    """
    preset = bridge.presets.get(preset_of(arguments))
    if input_of(preset) != "text":
        raise WrongUse(f"'{preset.name}' begins with a file.", remedy="Name the file.")
    overrides = overrides_of(arguments.get("set"))
    check_overrides(preset, overrides)
    words = {**preset.steps[0].parameters, **overrides}
    name = str(arguments.get("name") or _name_from(words) or preset.name)
    to = arguments.get("to")
    return _request(
        bridge,
        arguments,
        _written(bridge.home / "prompts", name, words),
        project_folder=path_of(to).absolute() if to else bridge.project_folder_of_texts(),
        private=flag(arguments, "private"),
    )


def _name_from(words: Mapping[str, Any]) -> str:
    """The first words of what is asked for, as a file name."""
    text = next((str(words[key]) for key in ("title", "prompt", "text", "lyrics") if words.get(key)), "")
    return " ".join(re.findall(r"\w+", text)[:WORDS_IN_A_NAME]).lower()


def _written(folder: Path, name: str, words: Mapping[str, Any]) -> Path:
    """The file of these words: the same for the same words, so that asking twice is seen."""
    if not name.strip() or Path(name).name != name:
        raise WrongUse(f"{name!r} is no name of a file.", remedy="Say --name with letters and digits.")
    text = json.dumps(dict(words), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    place = folder / hashlib.sha256(text.encode()).hexdigest()[:12]
    path = place / f"{name}.txt"
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


def redeliver(bridge: Bridge, arguments: Arguments) -> Result:
    """Whatever of the job's results is gone from its folder comes back; the cache makes it quick and free."""
    job = job_of(bridge, arguments)
    detail = bridge.journal.detail(job.id)
    assert detail is not None
    for part in detail.parts:
        if not part.path.is_file():
            raise WrongUse("the bounce itself is gone.", file=part.path, remedy="Bounce it again.")
    jobs: list[int] = []
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
            again_of=job.again_of or job.id,
            joins=jobs[0] if jobs else None,
        )
        jobs.append(bridge.submit(request))
    return {"job": jobs[0], "jobs": jobs}
