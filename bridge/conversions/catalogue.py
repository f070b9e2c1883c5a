"""The one table of all conversions. Adding a conversion is one row here and one function in the engine.

The converters, the compatible server, preset validation, the command line's help and the docs read this
table. Paths, types, limits and prices are those of the MusicGPT API's documentation.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from bridge.conversions import enhancement, generation, utilities
from bridge.conversions.model import Conversion, Parameter, Price, Quality, Result
from bridge.errors import PresetError

__all__ = ["CATALOGUE", "Conversion", "Parameter", "Price", "Quality", "Result", "conversion"]

CATALOGUE: Mapping[str, Conversion] = MappingProxyType(
    {row.name: row for module in (utilities, enhancement, generation) for row in module.ROWS}
)


def _folded(name: str) -> str:
    """`MusicAI`, `music_ai`, `music-ai` and `Music AI` are one name."""
    return name.casefold().translate(dict.fromkeys(map(ord, "_- ")))


_BY_FOLDED_NAME = {_folded(name): name for name in CATALOGUE}


def canonical(name: str) -> str:
    """The table's own spelling of `name`; `name` itself where the table does not have it."""
    return _BY_FOLDED_NAME.get(_folded(name), name)


def conversion(name: str) -> Conversion:
    """The row of `name`, however it is spelt. Raises PresetError with the nearest name."""
    row = CATALOGUE.get(canonical(name))
    if row is None:
        near = difflib.get_close_matches(name, CATALOGUE, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(CATALOGUE))}."
        raise PresetError(f"there is no conversion '{name}'.", remedy=hint)
    return row
