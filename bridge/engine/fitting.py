"""The task `fit`: what came back from an API, laid into the project.

Stems and cleaned takes go onto the bounce that they were made of: its first sample, its rate, length,
channels, container and chunks. Other audio begins without its encoder's delay, and notes come back into
seconds. What came is kept as it was in `folder/original`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from bridge.engine.fitting_bounce import Bounce, Returned, delays_on
from bridge.engine.fitting_delay import Delay
from bridge.engine.fitting_notes import transcription_of
from bridge.engine.fitting_passes import Check, Survey, laid, survey
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_writing import WrittenSet, write_set
from bridge.media.notes import NOTES_MEDIA_TYPE, transcription_to_json

Row = dict[str, Any]
"""`role`, `file` (its name in the folder), `media_type`, `about`."""

Tell = Callable[[float, str], None]

ORIGINALS: Final = "original"
MEDIA_TYPES: Final = {
    "WAV": "audio/wav", "AIFF": "audio/aiff", "FLAC": "audio/flac",
    "CAF": "audio/x-caf", "W64": "audio/x-w64",
}  # fmt: skip
MIDI_TYPES: Final = frozenset({"audio/midi", "audio/mid", "audio/x-midi", "application/x-midi"})
PLACED_BY: Final = {
    "itself": "",
    "set": "placed like the others, as by itself it tells too little",
    "file": "nothing in it was found in the bounce, so it begins where its file says",
}
UNREADABLE_NOTES: Final = "its notes could not be read, so it is as it came"


@dataclass(frozen=True)
class File:
    """One file as it came; `way` is how it is treated, `name` what its result is called, without a suffix."""

    role: str
    path: Path
    media_type: str
    way: str
    name: str


@dataclass(frozen=True)
class Job:
    """A set of files that came back from one conversion. `source` is None where it cannot be used (`why`)."""

    files: tuple[File, ...]
    folder: Path
    source: Path | None
    was_trimmed: bool
    why: str
    check: Check
    progress: Tell

    @cached_property
    def bounce(self) -> Bounce | None:
        """Raises AudioError."""
        if self.source is None:
            return None
        return Bounce.of(self.source, self.check, was_trimmed=self.was_trimmed)


def fit(
    raws: Sequence[Mapping[str, str]],
    folder: Path,
    *,
    source: Path | None,
    was_trimmed: bool,
    why: str,
    check: Check,
    progress: Tell,
) -> list[Row]:
    """The results in `folder`, in the order of `raws`, each of which has `role`, `path`, `media_type`, `fit`.

    `why` says in plain words why there is no source, where results lose something by that.
    Raises AudioError, OSError.
    """
    files = _named(raws)
    job = Job(files, folder, source, was_trimmed, why, check, progress)
    for file in files:
        _keep(file.path, folder / ORIGINALS)
    groups: dict[str, list[File]] = defaultdict(list)
    for file in files:
        groups[file.way].append(file)
    rows: dict[str, Row] = {}
    for way, group in groups.items():
        for file, row in zip(group, WAYS[way](job, group), strict=True):
            rows[file.name] = {"role": file.role, **row}
    progress(1.0, "done")
    return [rows[file.name] for file in files]


def _named(raws: Sequence[Mapping[str, str]]) -> tuple[File, ...]:
    files: list[File] = []
    for raw in raws:
        is_midi = raw["role"] == "midi" and raw["media_type"] in MIDI_TYPES
        plain = re.sub(r"[^\w-]+", "_", raw["role"]).strip("_") or "result"
        taken = {file.name.casefold() for file in files}
        name = next(
            one for one in (plain, *(f"{plain}-{n}" for n in range(2, 1000))) if one.casefold() not in taken
        )
        files.append(
            File(raw["role"], Path(raw["path"]), raw["media_type"], "notes" if is_midi else raw["fit"], name)
        )
    return tuple(files)


def _keep(path: Path, folder: Path) -> None:
    if path.parent != folder:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)


# The ways


def _onto_source(job: Job, files: Sequence[File]) -> list[Row]:
    bounce = job.bounce
    if bounce is None:
        return [_with_note(row, job.why) for row in _by_itself(job, files)]
    job.progress(0.1, "finding its place")
    surveys = [survey(file.path, job.check) for file in files]
    returned = [Returned(file.role, file.path, found) for file, found in zip(files, surveys, strict=True)]
    places = delays_on(bounce, returned, job.check)
    job.progress(0.5, "laying it onto the bounce")
    like = replace(bounce.like, warnings=())
    channels = _channels(like.channels, surveys)
    with ExitStack() as stack:
        members = {}
        for file, place in zip(files, places, strict=True):
            members[file.name] = sound = laid(
                file.path,
                job.check,
                rate_hz=like.rate_hz,
                delay=place.frames,
                lead_frames=bounce.bounds.start,
                channels=channels,
            )
            stack.callback(sound.close)
        written = write_set(
            members, like, job.folder, channels=channels, frames=bounce.survey.frames, check=job.check
        )
    made = zip(files, surveys, places, strict=True)
    return [_audio_row(written, file, found, like.rate_hz, place) for file, found, place in made]


def _channels(wanted: int, surveys: Sequence[Survey]) -> int:
    """Those of the source, where the results can have them: stereo is not made into surround."""
    most = max(found.channels for found in surveys)
    return wanted if most in (1, wanted) or wanted == 1 else most


def _by_itself(job: Job, files: Sequence[File]) -> list[Row]:
    rows = []
    for file in files:
        found, own = survey(file.path, job.check), AudioFormat.of(file.path)
        plain = AudioFormat("WAV", own.subtype, own.rate_hz, own.channels, tags=own.tags)
        like = replace(own, suffix=".wav", warnings=()) if own.container == "WAV" and own.chunks else plain
        sound = laid(file.path, job.check, rate_hz=own.rate_hz)
        with ExitStack() as stack:
            stack.callback(sound.close)
            written = write_set({file.name: sound}, like, job.folder, is_changed=False, check=job.check)
        rows.append(_audio_row(written, file, found, own.rate_hz, None))
    return rows


def _as_it_came(job: Job, files: Sequence[File]) -> list[Row]:
    rows = []
    for file in files:
        path = job.folder / f"{file.name}{file.path.suffix}"
        shutil.copyfile(file.path, path)
        rows.append({"file": path.name, "media_type": file.media_type, "about": {}})
    return rows


def _as_notes(job: Job, files: Sequence[File]) -> list[Row]:
    table = next((file.path for file in job.files if file.role == "note_events"), None)
    bounce = job.bounce
    rows = []
    for file in files:
        heard = transcription_of(
            file.path,
            table,
            shift_s=bounce.start_s if bounce else 0.0,
            duration_s=bounce.duration_s if bounce else None,
        )
        if heard is None:
            rows += [_with_note(row, UNREADABLE_NOTES) for row in _as_it_came(job, [file])]
            continue
        path = job.folder / f"{file.name}.json"
        path.write_text(json.dumps(transcription_to_json(heard)), encoding="utf-8")
        row: Row = {"file": path.name, "media_type": NOTES_MEDIA_TYPE, "about": {}}
        rows.append(_with_note(row, job.why if job.was_trimmed else ""))
    return rows


WAYS: Final[Mapping[str, Callable[[Job, Sequence[File]], list[Row]]]] = {
    "source": _onto_source,
    "own": _by_itself,
    "as_is": _as_it_came,
    "notes": _as_notes,
}


# What is told


def _audio_row(written: WrittenSet, file: File, found: Survey, rate_hz: int, place: Delay | None) -> Row:
    about: dict[str, Any] = {"lossy": found.lossy, "came_as": found.words}
    words = [_came_from(found, rate_hz)]
    if place is not None:
        about |= {"offset_frames": place.frames, "placed_by": place.by}
        words.append(PLACED_BY[place.by])
    row: Row = {
        "file": written.paths[file.name].name,
        "media_type": MEDIA_TYPES[written.container],
        "about": about,
    }
    return _with_note(row, *words, *written.warnings)


def _came_from(found: Survey, rate_hz: int) -> str:
    if not found.lossy and found.rate_hz == rate_hz:
        return ""
    rate = f"{found.rate_hz / 1000:g} kHz"
    return f"from {'an' if rate.startswith(('8', '11.')) else 'a'} {rate} {found.format}"


def _with_note(row: Row, *words: str) -> Row:
    about = row["about"]
    note = ", ".join(filter(None, (about.get("note", ""), *words)))
    return {**row, "about": {**about, "note": note} if note else about}
