"""Faults of a TOML file as a musician reads them: the line, the key, what is wrong, what to do.

Used for config.toml and for presets. tomllib reads the file and pydantic finds the faults; `lines_of` finds the
lines, since neither of them says where a value stood.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Place = tuple[str | int, ...]

LONGEST_VALUE = 60


# Where things stand


def lines_of(text: str) -> dict[Place, int]:
    """For each table, key and entry of a list: its place (`("folders", 0, "path")`) → its line, from 1.

    The text is valid TOML; of anything else it finds what it can.
    """
    places: dict[Place, int] = {}
    for place, line in _Scanner(text).places():
        places.setdefault(place, line)
    return places


_TOKEN = re.compile(
    r"""(?P<text>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
    r"""|(?P<comment>\#[^\n]*)|(?P<newline>\n)|(?P<sign>[\[\]{}=,.])|(?P<bare>[^\s\#\[\]{}=,."']+)""",
    re.DOTALL,
)
