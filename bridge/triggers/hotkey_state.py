"""From keys going down and up to the combination that fires. Pure; times come with the events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from bridge.key_names import Combination

T = TypeVar("T")

REPEAT_GAP_S = 2.5
"""A held key repeats within this time: no system lets one set a longer delay than 2 s. A key that goes down
later than this without having come up did come up unseen, behind a screen lock for instance."""


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A key went down or up.

    `code` is the system's number of the physical key. `names` are the keys out of `key_names.KEYS` that it
    may stand for on this keyboard, the likeliest first. `modifiers` are those that the system itself says are
    held, left and right folded, so a release that nobody saw leaves none stuck; names that no combination
    knows ("altgr") are extra ones.
    """

    down: bool
    code: int
    names: tuple[str, ...]
    modifiers: frozenset[str]
    at_s: float


class Matcher(Generic[T]):
    """Which binding an event fires: with exactly its modifiers held, and once for a key that stays down."""

    def __init__(self, bindings: Mapping[Combination, T]) -> None:
        self._bindings = dict(bindings)
        self._down: dict[int, float] = {}

    def heard(self, event: KeyEvent) -> T | None:
        if not event.down:
            self._down.pop(event.code, None)
            return None
        last_s = self._down.get(event.code)
        self._down[event.code] = event.at_s
        if last_s is not None and 0 <= event.at_s - last_s < REPEAT_GAP_S:
            return None
        wanted = (Combination(event.modifiers, name) for name in event.names)
        return next((self._bindings[one] for one in wanted if one in self._bindings), None)
