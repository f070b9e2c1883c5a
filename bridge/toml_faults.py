"""Faults of a TOML file as a musician reads them: the line, the key, what is wrong, what to do.

Used for config.toml and for presets. tomllib reads the file and pydantic finds the faults; `lines_of` finds
the lines, since neither of them says where a value stood.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Place = tuple[str | int, ...]

LONGEST_VALUE = 60


# Where things stand


def lines_of(text: str) -> dict[Place, int]:
    """For each table, key and list entry of a valid TOML text: its place → its line, from 1.

    A place is what leads to the value: `("folders", 0, "path")`.
    """
    reader = _Reader(text)
    reader.read()
    return reader.lines


_TOKEN = re.compile(
    r"""(?P<text>"{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
    r"""|(?P<comment>\#[^\n]*)|(?P<newline>\n)|(?P<sign>[\[\]{}=,.])|(?P<bare>[^\s\#\[\]{}=,."']+)""",
    re.DOTALL,
)
_END = ("end", "", 0)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "comment":
            yield found.lastgroup or "", found[0], line
        line += found[0].count("\n")


class _Reader:
    """Walks through a TOML text and notes the line of each place. Values themselves are passed over."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._left = list(_tokens(text))[::-1]
        self._entries: dict[Place, int] = {}
        """For each array of tables: the number of its latest entry."""

    def read(self) -> None:
        table: Place = ()
        while self._left:
            if self._next_is("newline"):
                self._left.pop()
            elif self._next_is("sign", "["):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Place:
        line = self._take()[2]
        is_array = self._next_is("sign", "[")
        if is_array:
            self._take()
        names = self._key()
        place: Place = ()
        for depth, name in enumerate(names, start=1):
            place = (*place, name)
            if is_array and depth == len(names):
                self._entries[place] = self._entries.get(place, -1) + 1
            if place in self._entries:
                place = (*place, self._entries[place])
        self.lines.setdefault(place, line)
        while self._left and not self._next_is("newline"):
            self._take()
        return place

    def _pair(self, table: Place) -> None:
        line = self._left[-1][2]
        names = self._key()
        for depth in range(1, len(names) + 1):
            self.lines.setdefault((*table, *names[:depth]), line)
        self._take()  # the "="
        self._value((*table, *names))

    def _key(self) -> list[str]:
        names = [_name(*self._take()[:2])]
        while self._next_is("sign", "."):
            self._take()
            names.append(_name(*self._take()[:2]))
        return names

    def _value(self, place: Place) -> None:
        if self._next_is("sign", "{"):
            for _ in self._inside("}"):
                self._pair(place)
        elif self._next_is("sign", "["):
            for number in self._inside("]"):
                self.lines.setdefault((*place, number), self._left[-1][2])
                self._value((*place, number))
        else:
            while self._left and self._left[-1][1] not in {",", "]", "}", "\n"}:
                self._take()

    def _inside(self, closing: str) -> Iterator[int]:
        """Stops before each entry between two brackets, and takes both brackets away."""
        self._take()
        number = 0
        while self._left:
            if self._next_is("sign", closing):
                self._take()
                return
            if self._next_is("newline") or self._next_is("sign", ","):
                self._take()
                continue
            yield number
            number += 1

    def _next_is(self, kind: str, value: str | None = None) -> bool:
        return bool(self._left) and self._left[-1][0] == kind and value in (None, self._left[-1][1])

    def _take(self) -> tuple[str, str, int]:
        return self._left.pop() if self._left else _END


def _name(kind: str, value: str) -> str:
    return str(tomllib.loads(f"x = {value}")["x"]) if kind == "text" else value


# What is wrong


def syntax_fault(error: tomllib.TOMLDecodeError) -> tuple[str, str]:
    """What is wrong with a text that is no TOML, and what to do about it."""
    words = str(error)
    backslash = "escape" in words or "hex value" in words
    remedy = "Texts need quotes, and names must be unique. Mend that line."
    if backslash:
        remedy = r"Put paths with backslashes into single quotes: 'C:\Music\Bounces'."
    return f"this is not valid TOML: {words.rstrip('.')}.", remedy


def faults_of(
    error: ValidationError, model: type[BaseModel], text: str, *, elsewhere: Mapping[Place, str] | None = None
) -> list[str]:
    """All faults of `error`, each with line number, key, what is wrong and what to do.

    `elsewhere` names the origin of values that are not from the text, such as an environment variable.
    """
    lines = lines_of(text)
    details = error.errors()
    places = [tuple(detail["loc"]) for detail in details]
    faults = (
        _fault(dict(detail), model, lines, elsewhere or {})
        for detail, place in zip(details, places, strict=True)
        # To pydantic a list whose entries have faults is too short as well.
        if detail["type"] != "too_short" or not any(place == other[: len(place)] != other for other in places)
    )
    return list(dict.fromkeys(faults))  # one value that fits none of several kinds is one fault


def listed(faults: Iterable[str]) -> str:
    """The faults, counted, one a line."""
    found = list(faults)
    count = "1 fault" if len(found) == 1 else f"{len(found)} faults"
    return f"{count}:\n" + "\n".join(f"  {fault}" for fault in found)


def at_line(place: Place, lines: Mapping[Place, int]) -> str:
    """`"line 3: "`, of the place or of what it stands in; nothing where that is not known."""
    while place:
        if place in lines:
            return f"line {lines[place]}: "
        place = place[:-1]
    return ""


_UNION_TAGS = frozenset({"bool", "int", "float", "str", "list[any]"})

# pydantic's kinds of fault: what is wrong, and what to do. In braces: the fault's own facts.
_WORDS: Mapping[str, tuple[str, str]] = {
    "missing": ("is missing", "Add it."),
    "extra_forbidden": ("is not a setting here", ""),
    "string_type": ("must be a text", "Put it in quotes."),
    "bool_type": ("must be true or false", "Write it without quotes."),
    "bool_parsing": ("must be true or false", "Write it without quotes."),
    "int_type": ("must be a whole number", "Write it without quotes."),
    "int_parsing": ("must be a whole number", "Write it without quotes."),
    "int_from_float": ("must be a whole number", "Round it."),
    "float_type": ("must be a number", "Write it without quotes."),
    "float_parsing": ("must be a number", "Write it without quotes."),
    "finite_number": ("must be a finite number", "Write a plain number."),
    "path_type": ("must be a path", "Put it in quotes."),
    "greater_than_equal": ("must be at least {ge:g}", "Choose a greater one."),
    "greater_than": ("must be more than {gt:g}", "Choose a greater one."),
    "less_than_equal": ("must be at most {le:g}", "Choose a smaller one."),
    "less_than": ("must be less than {lt:g}", "Choose a smaller one."),
    "literal_error": ("must be {expected}", "Choose one of these."),
    "string_pattern_mismatch": ("must be of small letters, digits, - and _", "Choose such a name."),
    "too_short": ("needs at least {min_length}", "Add one."),
    "model_type": ("must be a table", "Begin it with [{name}] on a line of its own."),
    "model_attributes_type": ("must be a table", "Begin it with [{name}] on a line of its own."),
    "dict_type": ("must be a table", "Begin it with [{name}] on a line of its own."),
    "tuple_type": ("must be a list", "Begin each entry with [[{name}]] on a line of its own."),
    "value_error": ("{error}", ""),
}


def _fault(
    detail: Mapping[str, Any],
    model: type[BaseModel],
    lines: Mapping[Place, int],
    elsewhere: Mapping[Place, str],
) -> str:
    place = _without_tag(tuple(detail["loc"]))
    where = f"{elsewhere[place]}: " if place in elsewhere else at_line(place, lines)
    what, remedy = _words(detail, place)
    if detail["type"] == "extra_forbidden":
        remedy = did_you_mean(str(place[-1]), sorted(_fields_at(place[:-1], model)))
    return f"{where}{_dotted(place)} {what}. {remedy}".rstrip()


def _words(detail: Mapping[str, Any], place: Place) -> tuple[str, str]:
    kind = detail["type"] if len(place) == len(detail["loc"]) else "union"
    if kind == "union":
        what, remedy = "must be a text, a number, true or false", "Write one value."
    else:
        what, remedy = _WORDS.get(kind, (_lower_first(detail["msg"]).rstrip("."), ""))
    names = [str(part) for part in place if isinstance(part, str)]
    facts = {**detail.get("ctx", {}), "name": ".".join(names)}
    if kind in _WORDS:
        what, remedy = what.format_map(facts), remedy.format_map(facts)
    found = (
        ""
        if kind in {"missing", "extra_forbidden", "value_error"}
        else f" (found: {_short(detail['input'])})"
    )
    return what + found, remedy


def _short(value: object) -> str:
    words = repr(str(value) if isinstance(value, Path) else value)
    words = {"True": "true", "False": "false"}.get(words, words)
    return words if len(words) <= LONGEST_VALUE else f"{words[: LONGEST_VALUE - 1]}…"


def _without_tag(place: Place) -> Place:
    """pydantic ends the place of a value of several kinds with the kind that it tried."""
    return place[:-1] if len(place) > 1 and place[-1] in _UNION_TAGS else place


def _dotted(place: Place) -> str:
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _lower_first(words: str) -> str:
    return words[:1].lower() + words[1:]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"Did you mean 'preset'?"`, or what is known where nothing is near."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(names)}." if names else ""


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
