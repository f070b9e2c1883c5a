"""Makes requirements/*.txt from pyproject.toml and requirements/*.in: python3 scripts/lock.py [--upgrade].

Needs `uv` on the PATH (in a throw-away environment: pip install uv). Then asks for each platform and Python
whether every pinned package has a ready-made wheel there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = (
    "# Made by scripts/lock.py from {sources}. One lock for Linux, macOS and Windows, Python 3.11 to 3.13.\n"
)
# fmt: off
COMPILE = [
    "uv", "--quiet", "--no-config", "pip", "compile", "--universal", "--python-version", "3.11",
    "--generate-hashes", "--only-binary", ":all:", "--no-header", "--no-annotate", "--no-emit-index-url",
]
# fmt: on
LOCKS = {
    "core": ["pyproject.toml", "requirements/platforms.in"],
    "test": ["requirements/test.in", "--constraint", "requirements/core.txt"],
}
PLATFORMS = (
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_28",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "x86_64-pc-windows-msvc",
)
MACOS = "14.0"  # the oldest that onnxruntime still makes wheels for
PYTHONS = ("3.11", "3.12", "3.13")


def make(name: str, sources: list[str], options: list[str]) -> None:
    """Writes requirements/NAME.txt."""
    path = ROOT / "requirements" / f"{name}.txt"
    target = str(path.relative_to(ROOT))
    subprocess.run([*COMPILE, *options, *sources, "--output-file", target], cwd=ROOT, check=True)
    body = path.read_text(encoding="utf-8")
    named = " and ".join(source for source in sources if not source.startswith("--"))
    path.write_text(HEADER.format(sources=named) + body, encoding="utf-8")


def missing_wheels(platform: str, python: str) -> str:
    """What uv says about an install from wheels alone on that platform; nothing if all is there."""
    locks = [f"--requirement=requirements/{name}.txt" for name in LOCKS]
    with tempfile.TemporaryDirectory() as folder:
        command = ["uv", "--quiet", "--no-config", "pip", "install", "--dry-run", "--target", folder]
        command += [
            "--only-binary",
            ":all:",
            "--python-platform",
            platform,
            "--python-version",
            python,
            *locks,
        ]
        mac = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS}
        done = subprocess.run(command, cwd=ROOT, env=mac, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def main(options: list[str]) -> int:
    """Locks, then a line for each platform and Python. Exit code 1 if a wheel is missing."""
    for name, sources in LOCKS.items():
        make(name, sources, options)
    bad = 0
    for platform in PLATFORMS:
        for python in PYTHONS:
            said = missing_wheels(platform, python)
            bad += bool(said)
            print(f"{platform} {python}: {said or 'every package has a wheel'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
