"""The voices that a rehearsal has: a small list, the same every time. Pure."""

from __future__ import annotations

import uuid
from typing import Any

MOST = 100
_FIRST = ("Warm", "Bright", "Smoky", "Airy", "Deep", "Clear", "Rough", "Soft", "Young", "Old")
_SECOND = ("Alto", "Soprano", "Tenor", "Baritone", "Narrator")

VOICES: tuple[dict[str, str], ...] = tuple(
    {"voice_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{first} {second}")), "voice_name": f"{first} {second}"}
    for second in _SECOND
    for first in _FIRST
)


def page(limit: int, number: int, query: str = "") -> dict[str, Any]:
    """Page `number`, the first being 0, of the voices whose names have `query` in them."""
    found = [one for one in VOICES if query.casefold() in one["voice_name"].casefold()]
    shown = found[number * limit : (number + 1) * limit]
    return {"success": True, "voices": shown, "limit": limit, "page": number, "total": len(found)}
