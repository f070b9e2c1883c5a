"""Programs of the system: an apt-get of our own on the PATH stands for the machine's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from house import parts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="apt is Linux's")

FFMPEG = parts.SYSTEM[0]
needs_root = pytest.mark.skipif(not parts.is_root(), reason="only root installs by itself")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one folder, where apt-get writes down what it is asked and puts an ffmpeg beside itself."""
    apt(tmp_path, f"echo '#!/bin/sh' > {tmp_path}/ffmpeg; /bin/chmod 755 {tmp_path}/ffmpeg")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def apt(folder: Path, on_install: str) -> None:
    path = folder / "apt-get"
    log = folder / "asked"
    path.write_text(
        f"#!/bin/sh\necho $DEBIAN_FRONTEND $* >> {log}\n[ $1 = update ] && exit 0\n{on_install}\n",
        encoding="utf-8",
    )
    path.chmod(0o755)


def asked(machine: Path) -> list[str]:
    log = machine / "asked"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@needs_root
def test_root_gets_it_from_apt_without_questions(machine: Path) -> None:
    outcome = parts.install_system([FFMPEG])[0]
    assert outcome.ready
    update, install = asked(machine)
    assert update.startswith("noninteractive update")
    assert install.startswith("noninteractive ")
    assert install.endswith("install -y -q --no-install-recommends ffmpeg")


@needs_root
def test_what_is_there_is_not_installed_again(machine: Path) -> None:
    parts.install_system([FFMPEG])
    before = asked(machine)
    assert parts.install_system([FFMPEG])[0].ready
    assert asked(machine) == before


@needs_root
def test_a_failed_apt_is_a_state_with_its_reason_and_the_command(machine: Path) -> None:
    apt(machine, "echo 'E: Unable to fetch some archives' >&2; exit 100")
    outcome = parts.install_system([FFMPEG])[0]
    assert not outcome.ready
    assert "Unable to fetch some archives" in outcome.line()
    assert outcome.line().endswith("sudo apt-get install --no-install-recommends ffmpeg")


@pytest.mark.skipif(parts.is_root(), reason="root installs by itself")
def test_others_are_told_the_command(machine: Path) -> None:
    outcome = parts.install_system([FFMPEG])[0]
    assert asked(machine) == []
    assert outcome.line() == (
        "Without ffmpeg, no m4a files: it is not installed. "
        "Install it with: sudo apt-get install --no-install-recommends ffmpeg"
    )


def test_a_machine_without_a_package_manager_that_we_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = parts.install_system([FFMPEG])[0]
    assert not outcome.ready
    assert outcome.remedy == "Install ffmpeg the way your system does it."


def test_every_program_has_a_package_for_every_manager() -> None:
    for program in parts.SYSTEM:
        assert set(program.packages) == {manager.name for manager in parts.MANAGERS}


def test_a_part_for_other_systems_is_no_outcome() -> None:
    part = parts.Part("evdev", "evdev==0", "hotkeys", platforms=("plan9",))
    assert parts.install_parts([part], [os.devnull]) == []


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_the_table_has_each_part_once_a_system_and_pinned(platform: str) -> None:
    here = [part for part in parts.PARTS if not part.platforms or platform in part.platforms]
    names = [part.name for part in here]
    assert len(names) == len(set(names))
    assert {"python-rtmidi", "pynput"} <= set(names)
    for part in here:
        pins = [requirement.partition("==") for requirement in part.requirement.split()]
        assert all(version for _, _, version in pins)
        assert part.name in {name for name, _, _ in pins}


NO_COMPILER = """
  error: subprocess-exited-with-error
  × Building wheel for evdev did not run successfully.
      error: command 'gcc' failed: No such file or directory
  note: This error originates from a subprocess, and is likely not a problem with pip.
  ERROR: Failed building wheel for evdev
ERROR: Failed to build installable wheels for some pyproject.toml based projects (evdev)
"""


NO_HEADERS = """
  error: subprocess-exited-with-error
      ../meson.build:66:15: ERROR: Dependency "alsa" not found (tried pkg-config)
error: metadata-generation-failed
× Encountered error while generating package metadata.
"""


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (NO_HEADERS, '../meson.build:66:15: ERROR: Dependency "alsa" not found (tried pkg-config)'),
        (NO_COMPILER, "command 'gcc' failed: No such file or directory"),
        ("ERROR: No matching distribution found for evdev==9", "No matching distribution found for evdev==9"),
        ("", "pip said nothing"),
    ],
)
def test_the_reason_is_the_line_that_says_something(output: str, why: str) -> None:
    assert parts.why_pip_failed(output) == why


@needs_root
def test_root_gets_what_compiling_takes_and_tries_once_more(machine: Path) -> None:
    pip = machine / "pip"  # works as soon as the package is there
    pip.write_text(f"#!/bin/sh\n[ -e {machine}/ffmpeg ]\n", encoding="utf-8")
    pip.chmod(0o755)
    part = parts.Part("made-up", "made-up==1", "wonders", build_needs={"apt": "libwonder-dev cc"})
    assert parts.install_parts([part], [str(pip)])[0].ready
    assert asked(machine)[-1].endswith("libwonder-dev cc")
