"""Results that were paid for or computed once: one folder an entry, named by its key, complete or not there.

An entry is written into a scratch folder, synced, and renamed into place, so a crash leaves no half entry.
What lies here is raw: notes in seconds, audio as it came. Names, tempo and place are applied at delivery.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.converters.base import Artifact
from bridge.crash_points import reach

_MANIFEST = "manifest.json"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One artifact in the cache: `path` is absolute, `sha256` that of the file's bytes."""

    role: str
    path: Path
    media_type: str
    sha256: str
    about: Mapping[str, Any] = field(default_factory=dict)


def cache_key(
    *,
    samples_sha256: str,
    conversion: str,
    parameters: Mapping[str, Any],
    converter: str,
    fingerprint: Mapping[str, str],
) -> str:
    """The name of a result: the same for the same samples, conversion, parameters, converter and engine."""
    words = json.dumps(
        [samples_sha256, conversion, dict(parameters), converter, dict(fingerprint)], sort_keys=True
    )
    return hashlib.sha256(words.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sync_file(path: Path) -> None:
    """Returns when the file's bytes are on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Returns when the folder's names are on the disk; Windows has no such call and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network shares have no such call for folders; they have it for files.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                raise
        finally:
            os.close(descriptor)


class Cache:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scratch = folder / "scratch"
        self._lock = threading.Lock()
        # Scratch folders of an earlier life belong to nobody.
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True, exist_ok=True)

    def scratch(self) -> Path:
        """A fresh folder on the cache's own disk, for `put` later."""
        folder = self._scratch / uuid.uuid4().hex
        folder.mkdir(parents=True)  # somebody may have cleared the cache meanwhile
        return folder

    def lookup(self, key: str) -> list[Entry] | None:
        """The artifacts of `key`; None where there are none, or where somebody has been at the files."""
        folder = self._place(key)
        try:
            manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            entries = _entries(folder, manifest["artifacts"])
            whole = all(file_sha256(entry.path) == entry.sha256 for entry in entries)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return entries if whole else None

    def put(
        self, key: str, scratch: Path, artifacts: Iterable[Artifact], about: Mapping[str, Any]
    ) -> list[Entry]:
        """Makes the files of `scratch` the entry of `key`, at one stroke; gives its artifacts.

        Where there is a whole entry already, that one stays and `scratch` goes: rows may name its files.
        """
        rows: list[dict[str, Any]] = []
        for artifact in artifacts:
            sync_file(artifact.path)
            rows.append(
                {
                    "role": artifact.role,
                    "file": artifact.path.name,
                    "media_type": artifact.media_type,
                    "sha256": file_sha256(artifact.path),
                    "about": dict(artifact.about),
                }
            )
        manifest = scratch / _MANIFEST
        manifest.write_text(json.dumps({"about": dict(about), "artifacts": rows}), encoding="utf-8")
        sync_file(manifest)
        place = self._place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        reach("cache-before-rename")
        with self._lock:
            if (earlier := self.lookup(key)) is not None:
                shutil.rmtree(scratch, ignore_errors=True)
                return earlier
            self._move_into_place(scratch, place)
        reach("cache-after-rename")
        return _entries(place, rows)

    def _move_into_place(self, scratch: Path, place: Path) -> None:
        if place.exists():  # and is damaged
            old = self._scratch / uuid.uuid4().hex
            place.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        scratch.rename(place)
        sync_folder(place.parent)

    def _place(self, key: str) -> Path:
        return self._folder / key[:2] / key


def _entries(folder: Path, rows: Iterable[Mapping[str, Any]]) -> list[Entry]:
    return [
        Entry(row["role"], folder / row["file"], row["media_type"], row["sha256"], row.get("about", {}))
        for row in rows
    ]
