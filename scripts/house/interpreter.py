"""Finding a Python that really runs. A name on the PATH proves nothing: it may be a shim that only errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from house.process import run

# 3.12 first: of the three it has ready-made wheels for most of what the bridge can use.
WANTED: tuple[tuple[int, int], ...] = ((3, 12), (3, 11), (3, 13))
WANTED_TEXT = "3.11, 3.12 or 3.13"

# Asked of each candidate. A virtual environment answers with the Python that it was made from.
QUESTION = """
import importlib.util, json, sys, sysconfig
print(json.dumps({
    "path": getattr(sys, "_base_executable", "") or sys.executable,
    "version": list(sys.version_info[:3]),
    "usable": sys.implementation.name == "cpython" and sys.maxsize > 2**32
        and not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "makes_venvs": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython that answered. `makes_venvs` is false on a Debian without its python3-venv package."""

    path: str
    version: tuple[int, int, int]
    makes_venvs: bool

    @property
    def text(self) -> str:
        return ".".join(str(number) for number in self.version)


@cache
def probe(command: tuple[str, ...]) -> Interpreter | None:
    """The interpreter behind `command`, or None if it does not run or is no 64-bit CPython with its lock."""
    answer = run([*command, "-I", "-c", QUESTION], timeout_s=20)
    if not answer.ok:
        return None
    try:
        facts = json.loads(answer.last_line())
        if not facts["usable"]:
            return None
        major, minor, micro = facts["version"]
        return Interpreter(str(facts["path"]), (major, minor, micro), bool(facts["makes_venvs"]))
    except (ValueError, TypeError, KeyError):
        return None


def _on_path(name: str, path: str) -> Iterator[tuple[str, ...]]:
    """Each program of that name on the PATH, not only the first: a shim may stand before the real one."""
    suffix = ".exe" if os.name == "nt" else ""
    for folder in path.split(os.pathsep):
        program = Path(folder or ".") / f"{name}{suffix}"
        if program.is_file() and os.access(program, os.X_OK):
            yield (str(program),)


def candidates(wanted: tuple[int, int], path: str, own: str) -> Iterator[tuple[str, ...]]:
    """Commands that may start Python `wanted`, the ones that say so in their name first."""
    name = f"{wanted[0]}.{wanted[1]}"
    if os.name == "nt":
        yield ("py", f"-{name}")
    yield from _on_path(f"python{name}", path)
    if own:
        yield (own,)
    yield from _on_path("python3", path)
    yield from _on_path("python", path)


def find(
    path: str | None = None,
    *,
    own: str = sys.executable,
    wanted: Sequence[tuple[int, int]] = WANTED,
    with_venv: bool = True,
) -> Interpreter | None:
    """The best interpreter here, in the order of `wanted`; None if there is none.

    `path`: where to look, None = the PATH. `own`: the Python that runs us, which counts like any other.
    """
    folders = os.environ.get("PATH", "") if path is None else path
    for version in wanted:
        for command in candidates(version, folders, own):
            found = probe(command)
            if found and found.version[:2] == version and (found.makes_venvs or not with_venv):
                return found
    return None
