"""What the musician is asked before something leaves this machine or costs once more. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import NeedsConsent, PaidAgain

Detail = Mapping[str, Any]
FolderOf = Callable[[Path], Path]

MOST_FILES = 5
"""So many files are named in a question; the others are counted."""


@dataclass(frozen=True)
class Question:
    """`words` tell what it is about, `ask` is the question, `action` with `arguments` what a yes does."""

    words: tuple[str, ...]
    ask: str
    action: str
    arguments: Mapping[str, Any]
    jobs: Mapping[int, str]
    """The jobs that wait for it, each with its name."""

    @property
    def key(self) -> tuple[str, str]:
        return self.action, str(self.arguments.get("folder") or self.arguments.get("job"))


def questions(details: Iterable[Detail], *, host: str, folder_of: FolderOf) -> list[Question]:
    """Every question that these jobs have stopped at: one for each folder, one for each price."""
    found = list(details)
    return [*_consents(found, host, folder_of), *_prices(found)]


def _consents(details: list[Detail], host: str, folder_of: FolderOf) -> Iterator[Question]:
    folders: dict[Path, dict[str, tuple[Detail, str]]] = {}
    for detail in details:
        for path, part, row in _asking(detail, NeedsConsent.code):
            file = Path(row["error"].get("file") or path)  # what is asked about may be a reference
            size = f" ({size_words(part['fingerprint']['size'])})" if file == path else ""
            line = f"  {file.name}{size}: {row['error']['message']}"
            folders.setdefault(folder_of(file), {})[str(path)] = detail, line
    for folder, files in folders.items():
        lines = [line for _, line in files.values()]
        more = len(lines) - MOST_FILES
        rest = (f"  and {more} more",) if more > 0 else ()
        yield Question(
            words=(f"MusicGPT's computers ({host}) would get:", *lines[:MOST_FILES], *rest),
            ask=f"May audio of {folder} and the folders below it be sent there, now and from now on?",
            action="allow_upload",
            arguments={"folder": str(folder)},
            jobs={detail["id"]: Path(path).name for path, (detail, _) in files.items()},
        )


def _prices(details: list[Detail]) -> Iterator[Question]:
    for detail in details:
        for path, _, row in _asking(detail, PaidAgain.code):
            yield Question(
                words=(f"{path.name}: {row['error']['message']}",),
                ask="Pay for it again?",
                action="retry",
                arguments={"job": detail["id"], "pay": True},
                jobs={detail["id"]: path.name},
            )
            break


def _asking(detail: Detail, code: str) -> Iterator[tuple[Path, Mapping[str, Any], Mapping[str, Any]]]:
    """The job's conversions that ask this: the part's path, the part and the conversion."""
    parts = {part["id"]: part for part in detail["parts"]}
    for row in detail["conversions"]:
        if row["state"] == "asking" and row["error"] and row["error"]["code"] == code:
            part = parts[row["part_id"]]
            yield Path(part["path"]), part, row


def size_words(size: int) -> str:
    """`3.4 MB`, as file managers count it."""
    for unit, bytes_of_it in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_of_it:
            return f"{size / bytes_of_it:.1f} {unit}"
    return f"{size} bytes"
