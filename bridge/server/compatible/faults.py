"""Faults on request: which there are, and which request is struck. Pure.

A fault strikes the next `times` requests that it fits; a request is struck by at most one fault of a kind,
the one that was asked for first. The header `X-Rehearse` strikes its own request.
In words: `status=503 route=/v1/byId times=3`, or shorter `503`; `slow seconds=2`; `failed`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal, get_args

from bridge.errors import WrongUse

Kind = Literal[
    "slow",
    "status",
    "reset",
    "truncated",
    "failed",
    "lost_answer",
    "twice",
    "expired",
    "html",
    "redirect",
    "legacy_errors",
]
Requests = Literal["any", "upload", "conversion", "link"]

ABOUT: Mapping[Kind, tuple[Requests, str]] = MappingProxyType(
    {
        "slow": ("any", "waits `seconds` before anything else"),
        "status": ("any", "answers with `status`, and `retry_after` if given; nothing is accepted"),
        "reset": ("upload", "the connection is reset when `after_bytes` of the body have come"),
        "truncated": ("link", "the connection ends after `after_bytes` of the file; else in its middle"),
        "failed": ("conversion", "accepted, and then it fails with `reason`"),
        "lost_answer": (
            "conversion",
            "accepted, then the connection is reset, or `status` is the answer",
        ),
        "twice": ("conversion", "each callback comes twice"),
        "expired": ("link", "the link is too old, for good"),
        "html": ("any", "a page instead of an answer, as a captive portal gives it"),
        "redirect": ("any", "sends the client to `location`"),
        "legacy_errors": ("any", "errors have the form up to September 2026"),
    }
)
"""For each kind: which requests it can strike, and what happens."""

ALONE = frozenset({"status", "html", "redirect", "reset"})
"""Kinds that leave nothing for others to do; those wait for the next request."""
COMPANIONS = frozenset({"slow", "legacy_errors"})
"""Kinds that go with any other."""

ELSEWHERE = "http://elsewhere.invalid/"
BREAKING_OFF = 65_536


@dataclass(frozen=True)
class Fault:
    kind: Kind
    route: str = "*"
    """A pattern for the path without the prefix, such as /v1/byId or /cdn/*."""
    method: str = "*"
    times: int = 1
    """0: until the rehearsal is reset."""
    seconds: float = 1.0
    status: int = 0
    retry_after: int | None = None
    after_bytes: int | None = None
    reason: str = "The rehearsal was asked to fail here."
    word: Literal["FAILED", "ERROR"] = "FAILED"
    location: str = ELSEWHERE

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Fault:
        """A fault from plain data; values may be text. Raises WrongUse."""
        known = {one.name: str(one.type) for one in fields(cls)}
        if not isinstance(told, Mapping):
            raise WrongUse("a fault is told in words or as an object.")
        unknown = sorted(set(told) - set(known))
        if unknown:
            raise WrongUse(f"a fault has no '{unknown[0]}'.", remedy=f"Known: {', '.join(known)}.")
        if told.get("kind") not in get_args(Kind):
            raise WrongUse(
                f"there is no fault '{told.get('kind')}'.", remedy=f"Known: {', '.join(get_args(Kind))}."
            )
        values = {name: _read(name, known[name], value) for name, value in told.items()}
        fault = cls(**values)
        return replace(fault, status=503) if fault.kind == "status" and not fault.status else fault

    @classmethod
    def in_words(cls, words: str) -> Fault:
        """A fault as the command line and the header `X-Rehearse` have it. Raises WrongUse."""
        told: dict[str, str] = {}
        for number, word in enumerate(words.split()):
            name, _, value = word.partition("=")
            if number == 0:
                told["kind"] = "status" if name.isdigit() else name
                name, value = ("status", name) if name.isdigit() else (name, value)
            if value:
                told[name] = value
        return cls.of(told)

    def fits(self, method: str, path: str) -> bool:
        return (
            _is(ABOUT[self.kind][0], method, path)
            and fnmatchcase(path, self.route)
            and fnmatchcase(method, self.method.upper())
        )


def _may_join(kind: Kind, struck: Mapping[Kind, Fault]) -> bool:
    if kind in struck or kind in COMPANIONS:
        return kind not in struck
    others = set(struck) - COMPANIONS
    return not others if kind in ALONE else not others & ALONE


def _read(name: str, kind: str, value: Any) -> Any:
    try:
        if "int" in kind:
            return None if value is None else int(value)
        return float(value) if kind == "float" else str(value)
    except (TypeError, ValueError):
        raise WrongUse(f"a fault's '{name}' must be a number, not {value!r}.") from None


def _is(which: Requests, method: str, path: str) -> bool:
    is_link = path.startswith("/cdn/")
    is_upload = method == "POST" and not is_link
    is_conversion = not is_link and not path.startswith(("/storage", "/v2/upload_audio"))
    return {"any": True, "link": is_link, "upload": is_upload, "conversion": is_upload and is_conversion}[
        which
    ]


Struck = Mapping[Kind, Fault]


class Faults:
    """Those that were asked for. May be called from any thread."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._waiting = list(faults)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> list[Fault]:
        with self._lock:
            return list(self._waiting)

    def strike(self, method: str, path: str, header: str | None = None) -> Struck:
        """The faults for this request, each counted; those in its header come first.

        Raises WrongUse for a header that names no fault.
        """
        own = [Fault.in_words(words) for words in (header or "").split(";") if words.strip()]
        struck: dict[Kind, Fault] = {one.kind: one for one in own if one.fits(method, path)}
        with self._lock:
            kept: list[Fault] = []
            for fault in self._waiting:
                if not fault.fits(method, path) or not _may_join(fault.kind, struck):
                    kept.append(fault)
                    continue
                struck[fault.kind] = fault
                if fault.times != 1:
                    kept.append(replace(fault, times=max(0, fault.times - 1)))
            self._waiting = kept
        return MappingProxyType(struck)
