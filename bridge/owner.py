"""One owner for each BRIDGE_HOME: a lock that dies with its process, and a note where to reach it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bridge.errors import HomeInUse, JournalError

LOCK_NAME = "owner.lock"
NOTE_NAME = "owner.json"
TOKEN_NAME = "token"  # noqa: S105  the file's name, not the token
TAKE_WITHIN_S = 0.5
"""`is_owned` holds the lock for a moment: whoever wants to have it waits that out."""


@dataclass(frozen=True)
class OwnerNote:
    """Where the running daemon listens. `port` 0: it has no control API."""

    pid: int
    host: str
    port: int
    started_at: float


class Ownership:
    """Held by the process that runs the bridge on this BRIDGE_HOME."""

    def __init__(self, home: Path) -> None:
        import filelock

        self._home = home
        # Not bound to a thread: whoever stops the bridge need not be who started it.
        self._lock = filelock.FileLock(home / LOCK_NAME, thread_local=False)

    def take(self) -> None:
        """Raises HomeInUse when another bridge has it, JournalError where the folder cannot be used."""
        import filelock

        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=TAKE_WITHIN_S, poll_interval=0.02)
        except filelock.Timeout:
            raise HomeInUse(
                f"another bridge is running on {self._home}.",
                remedy="`bridge status` shows it. Stop it first, or set BRIDGE_HOME to another folder.",
            ) from None
        except OSError as error:
            raise JournalError(
                f"the folder {self._home} cannot be used: {error.strerror or error}.",
                remedy="Set BRIDGE_HOME to a folder that you may write to.",
            ) from error
        with contextlib.suppress(OSError):
            (self._home / NOTE_NAME).unlink(missing_ok=True)

    def announce(self, note: OwnerNote) -> None:
        """Writes down where this owner can be reached, at one stroke."""
        temp = self._home / f"{NOTE_NAME}.{note.pid}"
        temp.write_text(json.dumps(asdict(note)), encoding="utf-8")
        temp.replace(self._home / NOTE_NAME)

    def release(self) -> None:
        with contextlib.suppress(OSError):
            (self._home / NOTE_NAME).unlink(missing_ok=True)
        self._lock.release()


def is_owned(home: Path) -> bool:
    """True when a bridge is running on this BRIDGE_HOME."""
    if not (home / LOCK_NAME).exists():
        return False
    import filelock  # half of what a quick command like `bridge trigger` would otherwise import

    lock = filelock.FileLock(home / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return True
    lock.release()
    return False


def read_note(home: Path) -> OwnerNote | None:
    """Where the owner listens; None when there is none, or it has not said so (yet)."""
    try:
        data = json.loads((home / NOTE_NAME).read_text(encoding="utf-8"))
        return OwnerNote(**data)
    except (OSError, ValueError, TypeError):
        return None


def token(home: Path) -> str:
    """The secret that the control API asks for; made on first use, readable by this user only."""
    path = home / TOKEN_NAME
    if kept := _kept_token(path):
        return kept
    import filelock

    home.mkdir(parents=True, exist_ok=True)
    # Two processes may both be the first: one makes it, the other waits and reads it.
    with filelock.FileLock(home / f"{TOKEN_NAME}.lock"):
        return _kept_token(path) or _fresh_token(path)


def _kept_token(path: Path) -> str:
    try:
        found = path.read_text(encoding="ascii").strip()
        if os.name == "posix" and path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except (OSError, UnicodeDecodeError):
        return ""
    return found


def _fresh_token(path: Path) -> str:
    fresh = secrets.token_urlsafe(32)
    # mkstemp: mode 0600. On Windows that says little; there the user's own data folder keeps others out.
    descriptor, temp = tempfile.mkstemp(dir=path.parent, prefix=f"{TOKEN_NAME}.")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(fresh)
    Path(temp).replace(path)
    return fresh
