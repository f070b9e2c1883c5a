"""Entries of arrays of tables (`[[pads]]`), put into a TOML text by a program. Pure.

Everything else in the text stays as it is: comments, order, spaces, line ends.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit.items import AoT, Array, InlineTable, Table


class NotByItself(ValueError):
    """The text is written in a way that only a person should change."""


def added(text: str, name: str, entry: Mapping[str, Any]) -> str:
    """The text with one more entry of the array `name`, as its last one.

    Raises tomllib.TOMLDecodeError for a text that is no TOML, NotByItself.
    """
    wanted = tomllib.loads(text)
    wanted[name] = [*wanted.get(name, ()), _plain(entry)]
    document = tomlkit.parse(text)
    array = document.get(name)
    if isinstance(array, Array) and len(array):
        _into_list(array, entry)
        new = tomlkit.dumps(document)
    else:
        if isinstance(array, Array):  # name = []
            del document[name]
        before = tomlkit.dumps(document).rstrip()
        new = f"{before}\n\n{block(name, entry)}" if before else block(name, entry)
    return _checked(text, new, wanted)


def changed(
    text: str, name: str, number: int, entry: Mapping[str, Any], *, without: Iterable[str] = ()
) -> str:
    """The text with other values in entry `number` (from 0) of the array `name`.

    Keys of `entry` are set, those in `without` taken out, all others stay. Raises as `added` does.
    """
    gone = frozenset(without)
    wanted = tomllib.loads(text)
    kept = {key: value for key, value in wanted[name][number].items() if key not in gone}
    wanted[name][number] = {**kept, **_plain(entry)}
    document = tomlkit.parse(text)
    table = document[name][number]
    for key in gone & set(table):
        del table[key]
    for key, value in entry.items():
        _set(table, key, value)
    return _checked(text, tomlkit.dumps(document), wanted)


def block(name: str, entry: Mapping[str, Any]) -> str:
    """One entry on lines of its own: `[[pads]]`, and a line for each key."""
    table = tomlkit.table()
    for key, value in entry.items():
        table.append(key, _item(value))
    array = AoT([table])
    return tomlkit.dumps({name: array}).rstrip() + "\n"


def _into_list(array: Array, entry: Mapping[str, Any]) -> None:
    indent = re.search(r"\n([ \t]*)\S", array.as_string())
    if indent:
        array.add_line(_item(entry), indent=indent[1] or "    ")
    else:
        array.append(_item(entry))


def _set(table: Any, key: str, value: Any) -> None:
    before = table.get(key)
    if before == value:
        return
    if isinstance(before, Table) and isinstance(value, Mapping):  # [pads.with]: its comments stay
        for inner in set(before) - set(value):
            del before[inner]
        for inner, one in value.items():
            _set(before, inner, one)
    else:
        table[key] = _item(value)


def _item(value: Any) -> Any:
    """Tables within an entry stand on one line."""
    if not isinstance(value, Mapping):
        return tomlkit.item(value)
    table: InlineTable = tomlkit.inline_table()
    for key, inner in value.items():
        table.append(key, _item(inner))
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value


def _checked(old: str, new: str, wanted: Mapping[str, Any]) -> str:
    """The new text with the old one's line ends.

    Whatever the editing did to an unusual text: it must say what was wanted, and have all comments.
    """
    plain = new.replace("\r\n", "\n")
    try:
        said = tomllib.loads(plain)
    except tomllib.TOMLDecodeError:
        said = {}
    if said != wanted or _comments(old) - _comments(new):
        raise NotByItself("it is written in a way that only a person should change")
    return plain.replace("\n", "\r\n") if "\r\n" in old else plain


def _comments(text: str) -> Counter[str]:
    """Those on lines of their own."""
    return Counter(line.strip() for line in text.splitlines() if line.lstrip().startswith("#"))
