"""The .venv: made once, checked in milliseconds at each later start, repaired when a set-up was cut off.

What has been set up stands in a stamp, one digest a step; a step whose digest differs is done again. A marker
lies in the .venv while pip works on it: one that is found means that somebody was killed there, and the .venv
is made anew. A lock keeps two starts apart.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from house import interpreter, parts
from house.process import Finished, SetupError, run, say

LOCK_POLL_S = 0.2


@dataclass(frozen=True)
class House:
    """Where everything lies. `root` is the folder that holds pyproject.toml."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def stamp(self) -> Path:
        return self.venv / "daw-bridge-stamp.json"

    @property
    def outcomes(self) -> Path:
        return self.venv / "daw-bridge-parts.json"

    @property
    def marker(self) -> Path:
        return self.venv / "daw-bridge-unfinished"

    @property
    def lock(self) -> Path:
        return self.venv / "daw-bridge-setup.lock"

    def requirements(self, group: str) -> Path:
        return self.root / "requirements" / f"{group}.txt"


@dataclass(frozen=True)
class Wish:
    """What a script needs. `groups`: lock files. `home`: BRIDGE_HOME for the models, None = as it is."""

    groups: tuple[str, ...] = ("core",)
    home: str | None = None
    models: bool = True
    system: Sequence[parts.SystemProgram] = parts.SYSTEM
    compiled: Sequence[parts.Part] = parts.PARTS

    def home_name(self) -> str:
        return self.home or os.environ.get("BRIDGE_HOME", "")


# --- what is there, and what should be ---------------------------------------------------------------------


def wanted(house: House, wish: Wish) -> dict[str, Any]:
    """The stamp of a finished set-up: step → digest, or the facts that it was made for."""
    here = Path(__file__).parent
    scripts = b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))
    common = [
        scripts,
        str(house.root).encode(),
        _read(house.venv / "pyvenv.cfg"),
        repr(wish.compiled).encode(),
    ]
    steps: dict[str, Any] = {"system": parts.present(wish.system)}
    for group in wish.groups:
        lock = _read(house.requirements(group))
        project = _read(house.root / "pyproject.toml") if group == "core" else b""
        steps[group] = _digest([*common, lock, project])
    if wish.models:
        table = _read(house.root / "bridge" / "engine" / "model_table.py")
        steps[f"models in {wish.home_name() or 'the default home'}"] = _digest([table])
    return steps


def _digest(pieces: Sequence[bytes]) -> str:
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(len(piece).to_bytes(8, "big") + piece)
    return whole.hexdigest()


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def stamped(house: House) -> dict[str, Any]:
    """What the last set-ups finished; nothing if the stamp is missing or damaged."""
    try:
        content = json.loads(house.stamp.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def steps_to_do(house: House, wish: Wish) -> list[str]:
    """The steps whose digest differs from the stamp's; none = the start adds nothing."""
    done = stamped(house) if house.python.exists() and not house.marker.exists() else {}
    return [step for step, digest in wanted(house, wish).items() if done.get(step) != digest]


# --- doing it ----------------------------------------------------------------------------------------------


def prepare(house: House, wish: Wish) -> Path:
    """Sets up what is missing; gives back the .venv's Python. Raises SetupError."""
    again = os.environ.get("BRIDGE_SET_UP") == "again"
    if not again and not steps_to_do(house, wish):
        return house.python
    house.venv.mkdir(exist_ok=True)
    with only_one(house.lock) as held:
        if again:
            house.stamp.unlink(missing_ok=True)
        steps = steps_to_do(house, wish)  # another start may have done it while we waited
        if steps:
            _set_up(house, wish, steps, held)
    return house.python


def _set_up(house: House, wish: Wish, steps: Sequence[str], held: int) -> None:
    begun = time.monotonic()
    known = {(row["kind"], row["name"]): row for row in read_outcomes(house)}
    outcomes = parts.install_system(wish.system) if "system" in steps or "core" in steps else []
    _make_venv(house, held)
    steps = steps_to_do(house, wish)  # a new .venv needs all of them
    outcomes += _install(house, wish, [step for step in steps if step in wish.groups], held)
    models_ready = True
    if any(step.startswith("models in ") for step in steps):
        outcomes.append(_pull_models(house, wish))
        models_ready = outcomes[-1].ready
    for outcome in outcomes:
        known[outcome.kind, outcome.name] = asdict(outcome)
        if not outcome.ready:
            say(outcome.line())
    _write(house.outcomes, {"parts": list(known.values())})
    finished = {**stamped(house), **wanted(house, wish)}
    if not models_ready:  # tried again at the next start: nothing works without them
        finished = {step: digest for step, digest in finished.items() if not step.startswith("models in ")}
    _write(house.stamp, finished)
    say(f"Set up in {time.monotonic() - begun:.0f} s.")


def _make_venv(house: House, held: int) -> None:
    """A .venv that runs: the one that is there if it is whole, else a new one."""
    found = interpreter.probe((str(house.python),)) if house.python.exists() else None
    right = found is not None and found.version[:2] in interpreter.WANTED
    if right and not house.marker.exists():
        return
    if house.python.exists() or house.marker.exists():
        say("The .venv is unfinished or not usable; making it anew …")
    base = _interpreter()
    say(f"Making .venv with Python {base.text} …")
    _clear(house)
    house.marker.touch()
    done = run([base.path, "-m", "venv", str(house.venv)], keep_open=held)
    if not done.ok:
        raise SetupError(f"Python {base.text} could not make {house.venv}:\n{done.output.strip()}")
    house.marker.unlink()


def _interpreter() -> interpreter.Interpreter:
    found = interpreter.find()
    if found:
        return found
    bare = interpreter.find(with_venv=False)
    if bare is None:
        remedies = {"apt": "python3 python3-venv", "dnf": "python3.12", "brew": "python@3.12"}
        how = parts.remedy("Python 3.12", {**remedies, "winget": "Python.Python.3.12"})
        raise SetupError(f"The bridge needs Python {interpreter.WANTED_TEXT}, and none here runs. {how}")
    package = f"python{bare.version[0]}.{bare.version[1]}-venv"
    why = ""
    if parts.may_install():
        say(f"Installing {package} …")
        why = parts.apt_install([package])
        interpreter.probe.cache_clear()
        found = interpreter.find()
    if found is None:
        how = parts.remedy(package, {"apt": package})
        raise SetupError(f"Python {bare.text} here cannot make virtual environments. {why} {how}")
    return found


def _clear(house: House) -> None:
    """Empties the .venv but for the lock that we hold."""
    for path in house.venv.iterdir():
        if path == house.lock:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _install(house: House, wish: Wish, groups: Sequence[str], held: int) -> list[parts.Outcome]:
    """The locked packages, one pip call a lock file, then our own, then each part that may not build."""
    pip = [str(house.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    locked = ["install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    ours = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(house.root)]
    outcomes: list[parts.Outcome] = []
    house.marker.touch()
    for group in groups:
        say(f"Installing what the bridge needs ({group}) …")
        lock = ["--requirement", str(house.requirements(group))]
        _require(house, run([*pip, *locked, *lock], keep_open=held))
        if group == "core":
            _require(house, run([*pip, *ours], keep_open=held))
            outcomes = parts.install_parts(wish.compiled, pip, keep_open=held)
    house.marker.unlink()
    return outcomes


def _require(house: House, done: Finished) -> None:
    if done.ok:
        return
    house.marker.unlink()  # pip ended by itself, so what is there is whole
    tail = "\n".join(done.output.strip().splitlines()[-30:])
    raise SetupError(
        f"{tail}\npip could not install what the bridge needs (its words are above). Is the network there? "
        f"Start again; if it goes on failing, delete {house.venv} first."
    )


def _pull_models(house: House, wish: Wish) -> parts.Outcome:
    say("Getting the models: once, about 100 MB …")
    gives = "conversions on this machine"
    environment = {"BRIDGE_HOME": wish.home} if wish.home else None
    done = run([str(house.python), "-P", "-m", "bridge", "models", "pull"], environment=environment)
    if done.ok:
        return parts.Outcome("models", "models", gives, ready=True)
    why = done.last_line().rstrip(".")
    how = "The next start tries again, and so does: bridge models pull"
    return parts.Outcome("models", "models", gives, ready=False, why=why, remedy=how)


def read_outcomes(house: House) -> list[dict[str, Any]]:
    """The rows of daw-bridge-parts.json; none if it is missing or damaged."""
    try:
        rows = json.loads(house.outcomes.read_bytes())["parts"]
        return [row for row in rows if {"kind", "name"} <= set(row)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write(path: Path, content: object) -> None:
    """Whole or not at all: a stamp cut in half must not count."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
    part.replace(path)


# --- one at a time -----------------------------------------------------------------------------------------

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[int]:
    """Holds the lock `path`; gives its descriptor. The system frees it when its holders are gone.

    A child that is given the descriptor holds the lock too (POSIX), so a pip that outlives us is waited for.
    """
    with path.open("a+b") as handle:
        descriptor = handle.fileno()
        if not _try_lock(descriptor):
            say("Another start is setting up; waiting for it …")
            while not _try_lock(descriptor):
                time.sleep(LOCK_POLL_S)
        yield descriptor
