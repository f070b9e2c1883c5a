"""What may be missing without harm: programs of the system, and parts that must be compiled.

Each is a row of a table; what became of it is an `Outcome`, told in one line and kept for `bridge doctor`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from house.process import run, say


@dataclass(frozen=True)
class SystemProgram:
    """A program that the system's package manager brings. `packages`: the package's name for each manager."""

    name: str
    gives: str
    packages: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """A Python package that may have to be compiled here, so it is installed in a pip call of its own.

    `requirement` is pinned (`evdev==1.9.2`), several stand side by side; they need nothing that the core lock
    has not.
    `build_needs`: the system packages that compiling takes, for each manager, separated by spaces.
    `platforms`: values of `sys.platform` that it is for; none = all.
    """

    name: str
    requirement: str
    gives: str
    build_needs: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()


SYSTEM: tuple[SystemProgram, ...] = (
    SystemProgram(
        name="ffmpeg",
        gives="m4a files",
        packages={"apt": "ffmpeg", "dnf": "ffmpeg-free", "brew": "ffmpeg", "winget": "Gyan.FFmpeg"},
    ),
)

# What only the tests need: other programs that read and write what we do. Without one its tests are skipped.
FOR_TESTS: tuple[SystemProgram, ...] = (
    SystemProgram(
        name="sndfile-info",
        gives="tests against libsndfile",
        packages={"apt": "sndfile-programs", "dnf": "libsndfile-utils", "brew": "libsndfile"},
    ),
    SystemProgram(name="ardour7-lua", gives="tests with a real DAW", packages={"apt": "ardour"}),
    SystemProgram(name="jackd", gives="tests with virtual MIDI ports", packages={"apt": "jackd2"}),
    SystemProgram(name="Xvfb", gives="tests of hotkeys", packages={"apt": "xvfb"}),
    SystemProgram(name="xdotool", gives="tests of hotkeys", packages={"apt": "xdotool"}),
)

PARTS: tuple[Part, ...] = (
    # Only Python 3.13 has to compile it: for the others the core lock has it.
    Part(
        name="python-rtmidi",
        requirement="python-rtmidi==1.5.8",
        gives="MIDI ports",
        build_needs={
            "apt": "g++ pkg-config python3-dev libjack-jackd2-dev libasound2-dev",
            "dnf": "gcc-c++ pkgconf python3-devel pipewire-jack-audio-connection-kit-devel alsa-lib-devel",
        },
    ),
    Part(
        name="JACK-Client",
        requirement="JACK-Client==0.5.7",
        gives="frame-exact MIDI on JACK",
        platforms=("linux",),
    ),
    # evdev, which pynput asks for on Linux, reads the keyboard's device files and would have to be compiled:
    # we only listen to X11.
    Part(
        name="pynput",
        requirement="pynput==1.8.2 python-xlib==0.33 six==1.17.0",
        gives="global hotkeys",
        platforms=("linux",),
    ),
    Part(
        name="pynput",
        requirement="pynput==1.8.2 six==1.17.0 pyobjc-core==11.1 pyobjc-framework-Cocoa==11.1 "
        "pyobjc-framework-Quartz==11.1 pyobjc-framework-ApplicationServices==11.1 "
        "pyobjc-framework-CoreText==11.1",
        gives="global hotkeys",
        platforms=("darwin",),
    ),
    Part(
        name="pynput",
        requirement="pynput==1.8.2 six==1.17.0",
        gives="global hotkeys",
        platforms=("win32",),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one row: ready, or missing with the reason and the remedy."""

    kind: Literal["system", "part", "models"]
    name: str
    gives: str
    ready: bool
    why: str = ""
    remedy: str = ""

    def line(self) -> str:
        if self.ready:
            return f"{self.name}: ready ({self.gives})."
        return f"Without {self.name}, no {self.gives}: {self.why}. {self.remedy}"


@dataclass(frozen=True)
class Manager:
    """A package manager: how we look for it, and the command that a person types."""

    name: str
    program: str
    platform: str
    command: str


MANAGERS = (
    Manager("apt", "apt-get", "linux", "sudo apt-get install --no-install-recommends"),
    Manager("dnf", "dnf", "linux", "sudo dnf install"),
    Manager("brew", "brew", "darwin", "brew install"),
    Manager("winget", "winget", "win32", "winget install --exact --id"),
)
APT_INSTALL = ["apt-get", "-o", "DPkg::Lock::Timeout=60", "install", "-y", "-q", "--no-install-recommends"]
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive"}


def manager() -> Manager | None:
    """The package manager of this machine."""
    fitting = (one for one in MANAGERS if one.platform == sys.platform and shutil.which(one.program))
    return next(fitting, None)


def remedy(name: str, packages: Mapping[str, str]) -> str:
    """The exact command that a person types here to get `name`."""
    here = manager()
    if here is None or here.name not in packages:
        return f"Install {name} the way your system does it."
    return f"Install it with: {here.command} {packages[here.name]}"


def is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


def apt_install(packages: Sequence[str]) -> str:
    """As root, with apt: installs `packages`. Gives back what went wrong, or nothing."""
    run(["apt-get", "update", "-q"], environment=APT_ENVIRONMENT, timeout_s=300)
    # A failed update is no verdict: the old lists may do.
    done = run([*APT_INSTALL, *packages], environment=APT_ENVIRONMENT, timeout_s=900)
    return "" if done.ok else f"apt-get failed ({done.last_line()})"


def may_install() -> bool:
    """Whether we install system packages ourselves: as root where apt is, else we print the command."""
    here = manager()
    return here is not None and here.name == "apt" and is_root()


def present(programs: Sequence[SystemProgram]) -> dict[str, bool]:
    return {one.name: shutil.which(one.name) is not None for one in programs}


def install_system(programs: Sequence[SystemProgram]) -> list[Outcome]:
    """Brings the missing programs if we may. Never raises: what is still missing is a state."""
    missing = [name for name, here in present(programs).items() if not here]
    packages = [one.packages["apt"] for one in programs if one.name in missing and "apt" in one.packages]
    why = ""
    if packages and may_install():
        say(f"Installing {' '.join(packages)} …")
        why = apt_install(packages)
    return [_system_outcome(one, why or "it is not installed") for one in programs]


def _system_outcome(one: SystemProgram, why: str) -> Outcome:
    if shutil.which(one.name):
        return Outcome("system", one.name, one.gives, ready=True)
    return Outcome("system", one.name, one.gives, ready=False, why=why, remedy=remedy(one.name, one.packages))


def install_parts(
    table: Sequence[Part], pip: Sequence[str], *, keep_open: int | None = None
) -> list[Outcome]:
    """Each part in a pip call of its own. Never raises: one that does not build is a state."""
    fitting = [part for part in table if not part.platforms or sys.platform in part.platforms]
    return [_install_part(part, pip, keep_open) for part in fitting]


def _install_part(part: Part, pip: Sequence[str], keep_open: int | None) -> Outcome:
    say(f"Installing {part.name} …")
    command = [*pip, "install", "--quiet", "--no-deps", *part.requirement.split()]
    done = run(command, timeout_s=900, keep_open=keep_open)
    if not done.ok and may_install() and "apt" in part.build_needs:
        say(f"Installing what compiling {part.name} takes …")
        if not apt_install(part.build_needs["apt"].split()):
            done = run(command, timeout_s=900, keep_open=keep_open)
    if done.ok:
        return Outcome("part", part.name, part.gives, ready=True)
    needs = remedy("a C compiler", part.build_needs).rstrip(".")
    how = f"{needs} ; then start once with BRIDGE_SET_UP=again"
    return Outcome("part", part.name, part.gives, ready=False, why=why_pip_failed(done.output), remedy=how)


# pip's own summing up, which says no more than that something went wrong.
EMPTY_WORDS = (
    "subprocess-exited",
    "from a subprocess",
    "failed to build",
    "failed building",
    "did not run",
    "metadata",
)


def why_pip_failed(output: str) -> str:
    """The last line of pip's that names an error and says something, without its decoration."""
    lines = [line.strip(" ×╰─>│\t") for line in output.splitlines()]
    errors = [line for line in lines if "error" in line.lower()]
    telling = [line for line in errors if not any(word in line.lower() for word in EMPTY_WORDS)]
    last = (telling or errors or [line for line in lines if line] or ["pip said nothing"])[-1]
    return last.removeprefix("ERROR: ").removeprefix("error: ").rstrip(".")
