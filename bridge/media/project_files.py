"""The DAW's project file near a bounce: which one it is, its time, and where in the song the bounce lies.

`find_project` looks in few folders and reads little; `read_project` reads what it found; `place_of` says
which part of the song a bounce is, by its name or its length.
"""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from bridge.errors import BridgeError
from bridge.media.file_names import is_unicode
from bridge.media.project_als import read_als
from bridge.media.project_ardour import read_ardour
from bridge.media.project_rpp import read_rpp
from bridge.media.project_types import Project, RenderBounds, unreadable

__all__ = [
    "FoundProject", "Place", "Project", "RenderBounds", "find_project", "place_of", "project_once",
    "read_project",
]  # fmt: skip

READERS: dict[str, Callable[[Path], Project]] = {
    ".als": read_als,
    ".rpp": read_rpp,
    ".ardour": read_ardour,
}
NAMELESS = frozenset((".als",))  # they say nothing of what an export is called
SHELVES = frozenset(("music", "documents", "desktop", "downloads"))
MOST_PARENTS = 4
MOST_ENTRIES = 2000  # in one folder; a folder with more is no project's
MOST_READ = 4
MOST_BYTES_READ = 8 << 20
_BACKUP_FOLDERS = frozenset(("backup", "backups"))
_SAVED_ALONGSIDE = re.compile(r"(-undo|[._ -](autosave|bak|backup|pending|recovery))$", re.IGNORECASE)

SAME_LENGTH_S = Fraction(1, 1000)
LONGEST_TAIL_S = 60
_NOT_LETTERS = re.compile(r"[\W_]+")


def project_once(path: Path) -> Project:
    """As `read_project`, but a file is read again only when it has changed. Raises the same, and OSError."""
    status = path.stat()
    read = _read_or_not(path, status.st_size, status.st_mtime_ns)
    if isinstance(read, BridgeError):
        raise read
    return read


@lru_cache(maxsize=8)
def _read_or_not(path: Path, size: int, mtime_ns: int) -> Project | BridgeError:  # noqa: ARG001  another file
    try:
        return read_project(path)
    except BridgeError as fault:
        return fault.with_traceback(None)


def read_project(path: Path) -> Project:
    """The time of a project file, by its ending.

    Raises BridgeError with the file's name and a remedy for what cannot be read, whatever is in the file.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise unreadable(path, f"projects of this kind cannot be read: only {', '.join(READERS)} can")
    try:
        return reader(path)
    except OSError as fault:
        raise unreadable(path, f"it cannot be opened ({fault.strerror or fault})") from fault


@dataclass(frozen=True, slots=True)
class FoundProject:
    """A project file, why it is taken, and the others that it might have been, newest first."""

    path: Path
    why: str
    others: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    distance: int  # folders away, in the order in which they are looked through
    modified_ns: int
    size: int


def find_project(
    bounce: Path, project_folder: Path | None = None, *, levels: int = MOST_PARENTS
) -> FoundProject | None:
    """The project that a bounce comes from, or None.

    Looks in the project folder, in the bounce's folder, and in the parents of both, up to `levels` of them,
    but not in the user's home folder or above; in folders such as ~/Music only for one that names the bounce.
    A project that names the bounce wins over a nearer one, a nearer over a newer one. Never raises for
    folders that cannot be read.
    """
    candidates = [
        candidate
        for distance, folder in enumerate(_folders(bounce, project_folder, levels))
        for candidate in _projects_in(folder, distance)
    ]
    if not candidates:
        return None
    candidates.sort(key=lambda one: (one.distance, -one.modified_ns, one.path.name))
    named = [one for one in candidates if _shares_name(one.path.stem, bounce.stem)]
    if named:
        best = max(named, key=lambda one: (len(_letters(one.path.stem)), -one.distance, one.modified_ns))
        return _found(best, "it has the bounce's name", candidates)
    rendered = next((one for one in candidates[:MOST_READ] if _exports(one, bounce)), None)
    if rendered is not None:
        return _found(rendered, "its render settings name the bounce", candidates)
    near = [one for one in candidates if not _is_shelf(one.path.parent, bounce, project_folder)]
    if not near:
        return None
    nearest = [one for one in near if one.distance == near[0].distance]
    if len(nearest) == 1:
        return _found(nearest[0], "it is the project nearest to the bounce", candidates)
    return _found(nearest[0], f"it is the newest of {len(nearest)} projects in its folder", candidates)


def _is_shelf(folder: Path, bounce: Path, project_folder: Path | None) -> bool:
    """Where songs of all kinds lie about: what is found there on the way up need not be the bounce's."""
    if folder in (bounce.parent, project_folder):
        return False
    return folder.name.lower() in SHELVES and folder.parent in _home_and_above()


def _found(best: _Candidate, why: str, candidates: Iterable[_Candidate]) -> FoundProject:
    others = sorted((one for one in candidates if one != best), key=lambda one: -one.modified_ns)
    return FoundProject(best.path, why, tuple(one.path for one in others))


def _folders(bounce: Path, project_folder: Path | None, levels: int) -> Iterator[Path]:
    """The folders to look in, nearest first, each once."""
    seen: set[Path] = set()
    starts = [folder for folder in (project_folder, bounce.parent) if folder is not None]
    too_far = _home_and_above()
    for height in range(levels + 1):
        for start in starts:
            above = [start, *start.parents]
            folder = above[height] if height < len(above) else None
            if (
                folder is None
                or folder in seen
                or (height and (folder in too_far or folder == folder.parent))
            ):
                continue
            seen.add(folder)
            yield folder


def _home_and_above() -> set[Path]:
    try:
        home = Path.home()
    except RuntimeError:  # a service without a user's home
        return set()
    return {home, *home.parents}


def _projects_in(folder: Path, distance: int) -> Iterator[_Candidate]:
    if folder.name.lower() in _BACKUP_FOLDERS:
        return
    try:
        with os.scandir(folder) as entries:
            names = [entry for _, entry in zip(range(MOST_ENTRIES), entries, strict=False)]
    except OSError:
        return
    for entry in names:
        with contextlib.suppress(OSError):  # gone, or not ours to see
            if _is_project(entry.name) and entry.is_file():
                status = entry.stat()
                yield _Candidate(Path(entry.path), distance, status.st_mtime_ns, status.st_size)


def _is_project(name: str) -> bool:
    """Not for backups, autosaves and the shadow files of macOS, whose names end or begin otherwise."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - names by the thousand
    is_plain = suffix.lower() in READERS and not name.startswith(".") and is_unicode(name)
    return is_plain and not _SAVED_ALONGSIDE.search(stem)


def _letters(name: str) -> str:
    """A name as it is compared: its letters and digits, in one case, words apart by one blank."""
    return _NOT_LETTERS.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _shares_name(name: str, stem: str) -> bool:
    """Whether the bounce's name is this one, or goes on after it: `Song` and `Song_mix 2`."""
    wanted, given = _letters(name), _letters(stem)
    return bool(wanted) and (given == wanted or given.startswith(f"{wanted} "))


def _exports(candidate: _Candidate, bounce: Path) -> bool:
    if candidate.size > MOST_BYTES_READ or candidate.path.suffix.lower() in NAMELESS:
        return False
    try:
        project = project_once(candidate.path)
    except (BridgeError, OSError):
        return False
    return any(_pattern_fits(bounds, bounce.stem) for bounds in project.render if bounds.pattern)


_WILDCARD = re.compile(r"\$[a-z]+(?:\[[^\]]*\]|\([^)]*\))?", re.IGNORECASE)


def _pattern_fits(bounds: RenderBounds, stem: str) -> bool:
    """Whether a file's name can come from a pattern; one that is nothing but wildcards says nothing."""
    parts = [_letters(part) for part in _WILDCARD.split(bounds.pattern or "")]
    if not any(parts):
        return False
    first, *others = (re.escape(part) for part in parts)
    # Each part where it first occurs, for good: trying all places of all parts would take for ever.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1] if part)
    last = f"(?>.*?{others[-1]}(?= |$))" if others and others[-1] else "" if others else "(?= |$)"
    return re.match(f"{first}{middle}{last}", _letters(stem)) is not None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bounce lies in its project: the part of the song that it is, and how that is known."""

    bounds: RenderBounds
    why: str


def place_of(project: Project, bounce: Path, *, duration_s: Fraction) -> Place | None:
    """The part of the song that a bounce is, or None where nothing says it, or several do in different ways.

    A part whose name the file has wins; then the one that the project's render settings export under such a
    name; then one that is exactly as long as the bounce (to a millisecond). A bounce that is shorter than a
    part is not that part: silence may have been cut from its beginning.
    """
    parts = [bounds for bounds in project.render if _may_be(bounds, duration_s)]
    named = [part for part in parts if part.name and _has_name(part.name, bounce.stem)]
    chosen = [part for part in parts if part.set_for_export]
    exact = [part for part in parts if _is_as_long(part, duration_s)]
    for choice, why in (
        ([part for part in named if part in exact], "it has the part's name and length"),
        (named, "it has the part's name"),
        ([part for part in chosen if _pattern_fits(part, bounce.stem)], "the render settings name it"),
        ([part for part in chosen if part in exact], "it is as long as what the render settings export"),
        (exact, "it is exactly as long as the part"),
    ):
        starts = {bounds.start_s for bounds in choice}
        if len(starts) == 1:
            return Place(choice[0], why)
    return None


def _may_be(bounds: RenderBounds, duration_s: Fraction) -> bool:
    """Whether the bounce may be this part: as long as it, with or without a tail."""
    if bounds.end_s is None:
        return False
    return -SAME_LENGTH_S <= duration_s - (bounds.end_s - bounds.start_s) <= LONGEST_TAIL_S


def _is_as_long(bounds: RenderBounds, duration_s: Fraction) -> bool:
    return bounds.end_s is not None and abs(bounds.end_s - bounds.start_s - duration_s) <= SAME_LENGTH_S


def _has_name(name: str, stem: str) -> bool:
    wanted, given = f" {_letters(name)} ", f" {_letters(stem)} "
    return bool(wanted.strip()) and wanted in given
