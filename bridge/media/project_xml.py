"""Walks through an XML project file of any size in little memory. Standard library only (expat).

Only the branches that a reader asks for reach Python; document types and entities are refused, and with them
every file that grows while it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from bridge.media.project_types import patiently, unreadable

Branch = Mapping[str, "Branch"]
"""Which elements are wanted below one: name (or "*" for any) to branch."""
See = Callable[[tuple[str, ...], Mapping[str, str]], None]

DEEPEST = 400
LONGEST_TOKEN = 1 << 20  # bytes of one tag, comment or the like; expat holds it as a whole


class _TooDeepError(Exception):
    pass


class _DoctypeError(Exception):
    pass


class _Walk:
    """Calls `see(path, attributes)` for each wanted element as it opens."""

    def __init__(self, wanted: Branch, see: See) -> None:
        # Always UTF-8, whatever the file declares: so all of them write, and Python's odd codecs stay out.
        self.parser: Final[Any] = expat.ParserCreate("UTF-8")
        self._see = see
        self._branches: list[Branch] = [wanted]
        self._path: list[str] = []
        self._skipped = 0
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _refuse(self, *_: object) -> None:
        raise _DoctypeError

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        branches = self._branches[-1]
        branch = branches.get(name, branches.get("*"))
        if branch is None:
            self._skipped = 1
            self.parser.StartElementHandler = self._skip
            self.parser.EndElementHandler = self._unskip
            return
        self._path.append(name)
        self._branches.append(branch)
        self._see(tuple(self._path), attributes)

    def _end(self, _name: str) -> None:
        self._path.pop()
        self._branches.pop()

    # What nobody asked for is only counted: that is most of a project, and so it is quick.
    def _skip(self, _name: str, _attributes: object) -> None:
        self._skipped += 1
        if self._skipped > DEEPEST:
            raise _TooDeepError

    def _unskip(self, _name: str) -> None:
        self._skipped -= 1
        if not self._skipped:
            self.parser.StartElementHandler = self._start
            self.parser.EndElementHandler = self._end


def walk(blocks: Iterable[bytes], wanted: Branch, see: See, *, path: Path) -> None:
    """Reads all blocks and calls `see` for each wanted element, in order.

    Raises BridgeError for what is no well-formed XML, has a document type, or is deep, long or slow to read
    beyond reason.
    """
    walker = _Walk(wanted, see)
    read = 0
    try:
        for block in patiently(blocks, path):
            walker.parser.Parse(block, 0)
            read += len(block)
            if read - walker.parser.CurrentByteIndex > LONGEST_TOKEN:
                raise unreadable(path, f"one piece of it is longer than {LONGEST_TOKEN >> 20} MB")
        walker.parser.Parse(b"", 1)
    except expat.ExpatError as fault:
        raise unreadable(path, f"it is damaged or cut short ({fault})") from None
    except _DoctypeError:
        raise unreadable(path, "it has a document type, which no DAW writes") from None
    except _TooDeepError:
        raise unreadable(path, "its elements are nested beyond reason") from None
