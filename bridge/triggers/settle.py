"""When is a file finished? Pure: no I/O, no thread, the time is an argument.

`Settler` is told what was seen of a file and answers what may happen now; `due` and `next_wake_s` say when
somebody should look at which file again.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from bridge.jobs.model import Fingerprint

Header = Literal["complete", "unfinished", "unknown", "locked"]
"""What a file's header says about its end; "locked": the file cannot be opened now."""

FINISHED: frozenset[Header] = frozenset({"complete", "unknown"})
NEVER_FINISHED = "its header was never finished; taken as far as it decodes"
STILL_EMPTY = "it is still empty, though nobody has written to it for a while"
LONGEST_LOCK_LOOK_S = 60.0


class Action(StrEnum):
    SPECULATE = "speculate"
    WITHDRAW = "withdraw"
    READY = "ready"


@dataclass(frozen=True)
class Step:
    """What may happen now with `path`, in the state `fingerprint`.

    `closed_at` is the wall clock of the last write, `speculated` says that SPECULATE went out for this state.
    """

    action: Action
    path: str
    fingerprint: Fingerprint
    closed_at: float
    speculated: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds."""

    settle_s: float = 0.4
    """Quiet after the file was closed."""
    stable_s: float = 2.0
    """Same size and time, where nobody saw the file being closed."""
    unfinished_s: float = 10.0
    """After the last growth, where the header promises another size than the file has."""
    look_s: float = 0.5
    """Between two looks at a header that is not finished: writes through a mapping send no event."""


@dataclass
class _Candidate:
    path: str
    fingerprint: Fingerprint
    old: bool
    """Nobody had written to it for `stable_s` when it was first seen, and nobody has since."""
    changed_s: float
    quiet_s: float
    closed_at: float
    closed: bool = False
    header: Header | None = None
    speculated: bool = False
    due_s: float = field(default=float("inf"))


class Settler:
    """Says when each of many files is finished. The contract:

    A file is READY when its size and time are what they were at the look before and

    (a) it was seen closed (by its writer, or renamed from another name) and nothing happened to it for
        `settle_s`, and its header is not unfinished; or
    (b) nobody saw it closed, its size and time have stood still for `stable_s`, and its header is not
        unfinished; where it was that old already when first seen, `settle_s` without an event is enough; or
    (c) its header is unfinished, or it is empty, and it has not grown for `unfinished_s`: READY with a
        warning.

    So a file that still grows is never READY; there is no hard limit: a real-time bounce grows for minutes.
    A file that cannot be opened is waited for, with looks that become rarer.
    SPECULATE comes once for a closed file whose header is not unfinished, as soon as that is seen. WITHDRAW
    follows when the file changes or vanishes after it. READY comes once for one state of a file: `settled`
    remembers that state, and observing it again gives nothing.

    Not thread-safe, but `growing` may be called from anywhere.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._candidates: dict[str, _Candidate] = {}
        self._settled: dict[str, Fingerprint] = {}
        self._queue: list[tuple[float, str]] = []

    def observe(
        self,
        path: str,
        fingerprint: Fingerprint,
        *,
        now_s: float,
        wall_s: float,
        header: Callable[[], Header],
        touched: bool = False,
        closed: bool = False,
    ) -> list[Step]:
        """Takes in that `path` is in this state now, and gives what follows, in order.

        `touched`: an event says that it was written to; `closed`: its writer has closed it, after that.
        `header` is called only when its answer matters; an error that it raises passes through.
        """
        if self._settled.get(path) == fingerprint:
            return self.vanished(path)
        candidate = self._candidates.get(path)
        if candidate is None:
            candidate = self._begin(path, fingerprint, now_s=now_s, wall_s=wall_s)
        steps: list[Step] = []
        if touched or fingerprint != candidate.fingerprint:
            steps = self._reset(candidate, fingerprint, now_s=now_s, wall_s=wall_s)
        if closed:
            candidate.closed, candidate.quiet_s, candidate.closed_at = True, now_s, wall_s
        return steps + self._judge(candidate, now_s, header)

    def vanished(self, path: str) -> list[Step]:
        """Takes in that there is no such file any more, or that it is none of ours."""
        candidate = self._candidates.pop(path, None)
        return self._withdrawal(candidate) if candidate else []

    def settle(self, path: str, fingerprint: Fingerprint) -> list[Step]:
        """Remembers that `path` needs nothing while it is in this state."""
        steps = self.vanished(path)
        self._settled[path] = fingerprint
        return steps

    def is_settled(self, path: str, fingerprint: Fingerprint) -> bool:
        return self._settled.get(path) == fingerprint

    def forget(self, path: str) -> None:
        """Makes the next look at `path` count as the first."""
        self._settled.pop(path, None)

    def keep_only(self, paths: Iterable[str]) -> None:
        """Forgets the settled state of all other paths, so that memory does not grow with deleted files."""
        kept = self._settled.keys() & set(paths)
        self._settled = {path: self._settled[path] for path in kept}

    def __contains__(self, path: str) -> bool:
        return path in self._candidates

    def __len__(self) -> int:
        return len(self._candidates)

    def below(self, folder_prefix: str) -> list[str]:
        """The candidates whose path begins with `folder_prefix`."""
        return [path for path in self._candidates if path.startswith(folder_prefix)]

    def growing(self, path: str) -> bool:
        """Whether it is known that `path` is being written: one more write tells nothing new."""
        candidate = self._candidates.get(path)
        return candidate is not None and not candidate.closed

    def due(self, now_s: float) -> list[str]:
        """The candidates that must be looked at now, the longest waiting first; each is given once."""
        found = []
        while self._queue and self._queue[0][0] <= now_s:
            due_s, path = heapq.heappop(self._queue)
            candidate = self._candidates.get(path)
            if candidate is not None and candidate.due_s == due_s:
                candidate.due_s = float("inf")
                found.append(path)
        return found

    def next_wake_s(self) -> float:
        """When `due` will have something next, on the clock of `now_s`; infinity: nothing waits."""
        while self._queue:
            due_s, path = self._queue[0]
            candidate = self._candidates.get(path)
            if candidate is not None and candidate.due_s == due_s:
                return due_s
            heapq.heappop(self._queue)
        return float("inf")

    def _begin(self, path: str, fingerprint: Fingerprint, *, now_s: float, wall_s: float) -> _Candidate:
        written_at = fingerprint.mtime_ns / 1e9
        candidate = _Candidate(
            path=path,
            fingerprint=fingerprint,
            old=wall_s - written_at >= self._patience.stable_s,
            changed_s=now_s,
            quiet_s=now_s,
            closed_at=min(written_at, wall_s),
        )
        self._candidates[path] = candidate
        return candidate

    def _reset(
        self, candidate: _Candidate, fingerprint: Fingerprint, *, now_s: float, wall_s: float
    ) -> list[Step]:
        steps = self._withdrawal(candidate)
        if fingerprint != candidate.fingerprint:
            candidate.fingerprint, candidate.changed_s, candidate.old = fingerprint, now_s, False
            candidate.closed_at = min(fingerprint.mtime_ns / 1e9, wall_s)
        candidate.quiet_s = now_s
        candidate.closed = candidate.speculated = False
        candidate.header = None
        return steps

    def _withdrawal(self, candidate: _Candidate) -> list[Step]:
        return [self._step(Action.WITHDRAW, candidate)] if candidate.speculated else []

    def _quiet_enough_s(self, candidate: _Candidate) -> float:
        quiet = candidate.quiet_s + self._patience.settle_s
        if candidate.closed or candidate.old:
            return quiet
        return max(quiet, candidate.changed_s + self._patience.stable_s)

    def _judge(self, candidate: _Candidate, now_s: float, header: Callable[[], Header]) -> list[Step]:
        quiet_s = self._quiet_enough_s(candidate)
        if candidate.header not in FINISHED and (candidate.closed or now_s >= quiet_s):
            candidate.header = "unfinished" if candidate.fingerprint.size == 0 else header()
        if candidate.header == "unfinished":
            return self._judge_unfinished(candidate, now_s, quiet_s)
        if candidate.header == "locked":
            wait_s = max(now_s - candidate.changed_s, self._patience.look_s)
            self._look_again(candidate, now_s + min(wait_s, LONGEST_LOCK_LOOK_S))
            return []
        if candidate.header is not None and now_s >= quiet_s:
            return self._ready(candidate)
        self._look_again(candidate, quiet_s)
        if candidate.header is not None and candidate.closed and not candidate.speculated:
            candidate.speculated = True
            return [self._step(Action.SPECULATE, candidate)]
        return []

    def _judge_unfinished(self, candidate: _Candidate, now_s: float, quiet_s: float) -> list[Step]:
        given_up_s = max(quiet_s, candidate.changed_s + self._patience.unfinished_s)
        if now_s >= given_up_s:
            return self._ready(candidate, NEVER_FINISHED if candidate.fingerprint.size else STILL_EMPTY)
        self._look_again(candidate, min(given_up_s, now_s + self._patience.look_s))
        return []

    def _ready(self, candidate: _Candidate, *warnings: str) -> list[Step]:
        del self._candidates[candidate.path]
        self._settled[candidate.path] = candidate.fingerprint
        return [self._step(Action.READY, candidate, warnings)]

    def _look_again(self, candidate: _Candidate, due_s: float) -> None:
        if due_s != candidate.due_s:
            candidate.due_s = due_s
            heapq.heappush(self._queue, (due_s, candidate.path))

    @staticmethod
    def _step(action: Action, candidate: _Candidate, warnings: tuple[str, ...] = ()) -> Step:
        return Step(
            action=action,
            path=candidate.path,
            fingerprint=candidate.fingerprint,
            closed_at=candidate.closed_at,
            speculated=candidate.speculated,
            warnings=warnings,
        )
