"""The code's imports against the table in import_table.py."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import import_table
import pytest

ROOT = Path(__file__).parents[1]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "bridge").rglob("*.py"))}


def imports_of(module: str, source: str, *, package: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that the source imports, at its top or within a function."""
    home = module.split(".") if package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def is_within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


def unit_of(name: str) -> str:
    """`bridge.jobs.store.Journal` → `jobs`; the package itself has no unit."""
    return name.split(".")[1] if "." in name else ""


def faults_of(module: str, source: str, *, package: bool = False) -> list[str]:
    """Every import of `source` that the table does not allow."""
    unit = unit_of(module)
    if unit and unit not in import_table.MAY_IMPORT:
        return [f"{module}: has no row in tests/import_table.py"]
    allowed = {unit, *import_table.MAY_IMPORT.get(unit, ())}
    heavy_here = any(is_within(module, name) for name in import_table.MAY_BE_HEAVY)
    found: list[str] = []
    for line, name in imports_of(module, source, package=package):
        top = name.split(".", maxsplit=1)[0]
        if top in import_table.HEAVY and not heavy_here:
            found.append(f"{module}:{line} imports {top}: only the engine and its workers may")
        if top != "bridge" or unit_of(name) in {"__version__", ""}:
            continue
        if not any(is_within(name, f"bridge.{one}") for one in allowed if one):
            found.append(
                f"{module}:{line} imports {name}: {unit or 'bridge'} may not, by tests/import_table.py"
            )
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_table(module: str) -> None:
    path = MODULES[module]
    faults = faults_of(module, path.read_text(encoding="utf-8"), package=path.name == "__init__.py")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bridge.triggers.folder", "from bridge.delivery import project_folder"),
        ("bridge.triggers.folder", "from bridge import converters"),
        ("bridge.delivery.sessions", "from ..triggers import folder"),
        ("bridge.converters.local", "def lazily():\n    import bridge.triggers.folder"),
        ("bridge.jobs.runner", "from bridge.converters.local import LocalConverter"),
        ("bridge.jobs.runner", "from bridge.converters import local"),
        ("bridge.jobs.runner", "from bridge.server import control"),
        ("bridge.media.wav_chunks", "from bridge.jobs.model import State"),
        ("bridge.engine.worker", "import bridge.jobs.model"),
        ("bridge.server.control", "from bridge.daemon import Daemon"),
        ("bridge.jobs.store", "import numpy as np"),
        ("bridge.daemon", "def lazily():\n    from onnxruntime import InferenceSession"),
        ("bridge.brand_new", "import json"),
    ],
)
def test_the_check_finds_what_is_forbidden(module: str, source: str) -> None:
    assert len(faults_of(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "bridge.jobs.runner",
            "from bridge.converters.base import Converter\nfrom bridge.jobs.model import State",
        ),
        ("bridge.jobs.runner", "from bridge.converters import base\nfrom . import model\nimport json"),
        ("bridge.engine.notes", "import numpy as np\nfrom bridge.media.midi_files import Note"),
        ("bridge.cli.main", "from bridge import __version__"),
    ],
)
def test_the_check_lets_pass_what_is_allowed(module: str, source: str) -> None:
    assert faults_of(module, source) == []


def test_the_table_names_only_what_it_has_rows_for() -> None:
    named = {name.split(".")[0] for row in import_table.MAY_IMPORT.values() for name in row}
    assert named <= set(import_table.MAY_IMPORT)


@pytest.mark.parametrize("module", import_table.STAYS_OUT)
def test_importing_it_leaves_the_heavy_ones_out(module: str) -> None:
    if module not in MODULES:
        pytest.skip(f"{module} is not there yet")
    names = sorted(import_table.STAYS_OUT[module])
    code = f"import sys, {module}; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_project_is_the_one_that_is_imported() -> None:
    found = importlib.util.find_spec("bridge")
    assert found is not None
    assert found.origin is not None
    assert Path(found.origin).resolve() == (ROOT / "bridge" / "__init__.py").resolve()
