"""Faults of a TOML file as a musician reads them: the line, the key, what is wrong, did you mean.

Used for config.toml and for presets. pydantic finds the faults, this module finds the lines.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_TABLE = re.compile(r"^\s*\[(?P<array>\[)?\s*(?P<name>[^\[\]]+?)\s*\]")
_KEY = re.compile(r"""^\s*(?P<key>"[^"]*"|'[^']*'|[A-Za-z0-9_\-.]+)\s*=""")
Place = tuple[str | int, ...]

_PLAIN_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a setting here",
}


def lines_of(text: str) -> dict[Place, int]:
    """For each table and key in the TOML text: its place (`("folders", 0, "path")`) → its line, from 1."""
    return dict(_places(text))


def _places(text: str) -> Iterator[tuple[Place, int]]:
    table: Place = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _table_place(header["name"], counts, is_array=bool(header["array"]))
            yield table, number
        elif key := _KEY.match(line):
            names = [part.strip("\"'") for part in key["key"].split(".")]
            for depth in range(1, len(names) + 1):
                yield (*table, *names[:depth]), number


def _table_place(name: str, counts: dict[str, int], *, is_array: bool) -> Place:
    if is_array:
        counts[name] = counts.get(name, -1) + 1
    place: list[str | int] = []
    so_far = ""
    for part in name.split("."):
        so_far = f"{so_far}.{part}" if so_far else part
        place.append(part.strip("\"' "))
        if so_far in counts:
            place.append(counts[so_far])
    return tuple(place)


def faults_of(error: ValidationError, model: type[BaseModel], text: str) -> str:
    """All faults of `error`, one a line, each with line number, key, what is wrong and a likely remedy."""
    lines = lines_of(text)
    faults = [_fault(dict(detail), model, lines) for detail in error.errors()]
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return f"{count}:\n" + "\n".join(f"  {fault}" for fault in faults)


def _fault(detail: dict[str, Any], model: type[BaseModel], lines: dict[Place, int]) -> str:
    place: Place = tuple(detail["loc"])
    where = _line(place, lines)
    words = _PLAIN_WORDS.get(detail["type"]) or f"{_lower_first(detail['msg'])} (found: {detail['input']!r})"
    meant = _did_you_mean(place, model) if detail["type"] == "extra_forbidden" else ""
    return f"{where}{_dotted(place)}: {words}{meant}"


def _line(place: Place, lines: dict[Place, int]) -> str:
    while place:
        if place in lines:
            return f"line {lines[place]}: "
        place = place[:-1]
    return ""


def _dotted(place: Place) -> str:
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _lower_first(words: str) -> str:
    return words[:1].lower() + words[1:]


def _did_you_mean(place: Place, model: type[BaseModel]) -> str:
    known = sorted(_fields_at(place[:-1], model))
    return did_you_mean(str(place[-1]), known)


def did_you_mean(word: str, known: list[str]) -> str:
    """`", did you mean 'preset'?"`, or what is known where nothing is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f", did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def _fields_at(place: Place, model: type[BaseModel]) -> set[str]:
    current: type[BaseModel] | None = model
    for part in place:
        if isinstance(part, int) or current is None:
            continue
        info = current.model_fields.get(part) or next(
            (one for one in current.model_fields.values() if one.alias == part), None
        )
        current = _model_in(info.annotation) if info else None
    if current is None:
        return set()
    return {info.alias or name for name, info in current.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
