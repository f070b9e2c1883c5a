"""A keyring for tests: a file in a folder of theirs, so that the system's own is never touched."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

FILE_VARIABLE = "BRIDGE_TEST_KEYRING"
"""Where a process of its own finds the file."""


class FileKeyring(KeyringBackend):
    priority = -1.0  # never chosen by itself
    name = "a file for tests"

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Every kind of keyring that is known is made once, when the system's own is looked for.
        self.path = path or Path(os.environ.get(FILE_VARIABLE, "no-keyring.json"))

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._all(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        passwords = self._all()
        if passwords.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("not there")
        self._write(passwords)

    def _all(self) -> dict[str, str]:
        try:
            passwords: dict[str, str] = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return passwords

    def _write(self, passwords: dict[str, str]) -> None:
        self.path.write_text(json.dumps(passwords), encoding="utf-8")


class LockedKeyring(FileKeyring):
    """One whose owner does not unlock it; it complains with what it was given."""

    def get_password(self, service: str, username: str) -> str | None:
        raise OSError(f"{service} is locked")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise OSError(f"{password} was not taken")


def environment(path: Path) -> dict[str, str]:
    """What makes a process of its own use a FileKeyring at `path`."""
    tests = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, (tests, os.environ.get("PYTHONPATH"))))
    return {
        "PYTHON_KEYRING_BACKEND": "support.keyrings.FileKeyring",
        FILE_VARIABLE: str(path),
        "PYTHONPATH": paths,
    }
