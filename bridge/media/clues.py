"""What a bounce's file and its surroundings tell about its music. Reads files; standard library only.

Best first: a context file beside the bounce (a connector's or the musician's own), the chunks in the WAV, the
name, the project file near by. What cannot be read is a remark, never an error: the bounce is converted all
the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError
from bridge.media.file_names import bar_from_name, key_from_name, tempo_from_name
from bridge.media.musical_context import MusicalContext, Told, context_of, exact_bpm, meter_map
from bridge.media.musical_time import (
    Key,
    KeyPoint,
    MeterMap,
    MeterPoint,
    TempoMap,
    Timeline,
)
from bridge.media.notes import check_range
from bridge.media.project_files import Project, find_project, place_of, project_once
from bridge.media.tempo_map import check_between, exactly
from bridge.media.wav_chunks import read_chunks
from bridge.media.wav_facts import MusicalFacts, musical_facts

CONTEXT_SUFFIX = ".context.json"
CHUNKED = dict.fromkeys((".wav", ".wave", ".bwf", ".rf64", ".bw64"), "WAV chunks")
CHUNKED |= dict.fromkeys((".aif", ".aiff", ".aifc"), "AIFF chunks")
"""Files with chunks, and what these are called."""

MOST_CONTEXT_BYTES = 1 << 20
FARTHEST_S, FARTHEST_BAR = 10**7, 10**6
TIME_OF_DAY_S = 3600
"""A position this late is a recorder's clock or a timecode offset, unless a project says otherwise."""

MOST_NAMED = 3
UNREADABLE = (BridgeError, OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What foreign files may raise, however odd they are: they must not cost the bounce."""


def gather(bounce: Path, project_folder: Path, *, rate_hz: int, duration_s: float) -> tuple[Told, ...]:
    """What there is to know about the bounce, best source first. Never raises for what it reads."""
    project = _tried("project file", lambda: _project(bounce, project_folder))
    tellers = (
        _tried(f"context file {bounce.stem}{CONTEXT_SUFFIX}", lambda: context_file(bounce)),
        _tried("WAV chunks", lambda: from_chunks(bounce, rate_hz, offset_s=_offset_s(project))),
        _tried("file name", lambda: from_name(bounce.stem)),
        _tried("project file", lambda: from_project(project, bounce, duration_s=duration_s))
        if isinstance(project, Project)
        else project,
    )
    return tuple(told for told in tellers if told is not None)


def _tried(source: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except UNREADABLE as fault:
        return Told(source, remarks=(f"the {source} cannot be read: {fault}",))


# The file's own


def from_name(stem: str) -> Told | None:
    """Tempo, key and bar in a file's name."""
    bpm, key, bar = tempo_from_name(stem), key_from_name(stem), bar_from_name(stem)
    if bpm is None and key is None and bar is None:
        return None
    return Told(
        "file name",
        tempo=None if bpm is None else TempoMap.constant(exact_bpm(bpm)),
        keys=(KeyPoint(Fraction(0), key),) if key else (),
        start_bar=bar,
    )


def from_chunks(bounce: Path, rate_hz: int, *, offset_s: Fraction | None) -> Told | None:
    """What is in a WAV file's chunks; None for other files and where there is nothing.

    `offset_s` is the timecode at the project's bar 1, None where no project is known.
    """
    source = CHUNKED.get(bounce.suffix.lower())
    if source is None:
        return None
    facts = musical_facts(read_chunks(bounce), rate_hz)
    start_s, remarks = _position_of(facts, rate_hz, offset_s)
    tempo = None if facts.tempo_bpm is None else TempoMap.constant(exact_bpm(facts.tempo_bpm))
    told = Told(
        source,
        tempo=tempo,
        meters=None if facts.meter is None else MeterMap((MeterPoint(Fraction(0), *facts.meter),)),
        keys=_named_key(facts.key),
        cues=tuple((Fraction(frame, rate_hz), label) for frame, label in facts.markers if label),
        start_s=start_s,
        remarks=remarks,
    )
    return None if told == Told(source) else told


def _position_of(
    facts: MusicalFacts, rate_hz: int, offset_s: Fraction | None
) -> tuple[Fraction | None, tuple[str, ...]]:
    # 0 is what programs write that know no position.
    if not facts.time_reference_frames:
        return None, ()
    at_s = Fraction(facts.time_reference_frames, rate_hz)
    if at_s > FARTHEST_S:
        return None, ("the WAV's time stamp lies beyond every song: not used",)
    if offset_s is None and at_s >= TIME_OF_DAY_S:
        words = "the WAV's time stamp looks like a clock's, and no project file says otherwise: not used"
        return None, (words,)
    return at_s - (offset_s or 0), ()


def _named_key(text: str | None) -> tuple[KeyPoint, ...]:
    try:
        return (KeyPoint(Fraction(0), Key.named(text)),) if text else ()
    except ValueError:
        return ()


# Beside it


def context_file(bounce: Path) -> Told | None:
    """`{bounce}.context.json` beside the bounce, or None. Raises OSError, ValueError."""
    path = bounce.with_name(bounce.stem + CONTEXT_SUFFIX)
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_CONTEXT_BYTES:
        raise ValueError("it is too large")
    data = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(data, Mapping):
        raise ValueError("it must be a JSON object")  # noqa: TRY004  the file is at fault, not a caller
    json.dumps(data, ensure_ascii=False).encode()  # "\\ud800" is JSON, but nothing that can be written down
    return _of_context(data, path.name)


def _of_context(data: Mapping[str, Any], name: str) -> Told:
    source = f"context file {name}"
    if "timeline" in data:
        timeline = Timeline.from_json(data["timeline"])
        _check_reach(timeline.start_s)
        return Told(
            source, timeline.tempo, timeline.meters, timeline.keys, timeline.markers, timeline.start_s
        )
    start_s = exactly("start_s", float(data["start_s"])) if "start_s" in data else None
    _check_reach(start_s or Fraction(0))
    start_bar = int(data["start_bar"]) if "start_bar" in data else None
    check_range("start_bar", start_bar or 0, -FARTHEST_BAR, FARTHEST_BAR)
    unknown = sorted(set(data) - {"tempo_bpm", "meter", "key", "start_s", "start_bar"})
    return Told(
        source,
        tempo=TempoMap.constant(exact_bpm(float(data["tempo_bpm"]))) if "tempo_bpm" in data else None,
        meters=meter_map(str(data["meter"])) if "meter" in data else None,
        keys=(KeyPoint(Fraction(0), Key.named(str(data["key"]))),) if "key" in data else (),
        start_s=start_s,
        start_bar=start_bar,
        remarks=tuple(f"{source}: '{field}' means nothing here" for field in unknown),
    )


def _check_reach(start_s: Fraction) -> None:
    check_between("start_s", start_s, -FARTHEST_S, FARTHEST_S)


# The project


def _project(bounce: Path, project_folder: Path) -> Project | None:
    found = find_project(bounce, project_folder)
    if found is None:
        return None
    project = project_once(found.path)
    if not found.others:
        return project
    names = ", ".join(path.name for path in found.others[:MOST_NAMED])
    choice = f"{found.path.name} is taken and not {names}: {found.why}"
    return replace(project, warnings=(*project.warnings, choice))


def _offset_s(project: Project | Told | None) -> Fraction | None:
    return project.start_offset_s if isinstance(project, Project) else None


def from_project(project: Project, bounce: Path, *, duration_s: float) -> Told:
    """The project's time, and the bounce's place in it where the project file tells what was rendered."""
    source = f"project file {project.path.name}"
    place = place_of(project, bounce, duration_s=Fraction(duration_s))
    return Told(
        source,
        tempo=project.tempo,
        meters=project.meters,
        keys=(KeyPoint(Fraction(0), project.key),) if project.key else (),
        markers=project.markers,
        start_s=place.bounds.start_s if place else None,
        remarks=tuple(f"{source}: {warning}" for warning in project.warnings),
    )


def context_from(
    told: Iterable[Mapping[str, Any]],
    bounce: Path,
    *,
    preset: Told,
    settings_bpm: float | None,
    heard: Told | None = None,
) -> MusicalContext:
    """The context of a bounce: what was gathered for it, the preset, the settings, and what was heard in it.

    `told` are rows of `Told.to_json`; those of another version of the bridge are left out.
    """
    gathered = [one for row in told if (one := _read_back(row)) is not None]
    if not gathered:
        gathered = [one for one in (from_name(bounce.stem),) if one is not None]
    tempo = None if settings_bpm is None else TempoMap.constant(exact_bpm(settings_bpm))
    return context_of([*gathered, preset, Told("settings", tempo=tempo), *filter(None, (heard,))])


def _read_back(row: Mapping[str, Any]) -> Told | None:
    try:
        return Told.from_json(row)
    except ValueError:
        return None
