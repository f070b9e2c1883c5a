"""Results that were paid for or computed once: one folder an entry, named by its key, complete or not there.

An entry is written into a scratch folder, synced, and renamed into place, so a crash leaves no half entry.
What lies here is raw: notes in seconds, audio as it came. Names, tempo and place are applied at delivery.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
        finally:
            os.close(descriptor)


class Cache:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scratch = folder / "scratch"
        # Scratch folders of an earlier life belong to nobody.
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True, exist_ok=True)

    def scratch(self) -> Path:
        """A fresh folder on the cache's own disk, for `put` later."""
        folder = self._scratch / uuid.uuid4().hex
        folder.mkdir()
        return folder

    def lookup(self, key: str) -> list[Entry] | None:
        """The artifacts of `key`; None where there are none, or where somebody has been at the files."""
        folder = self._place(key)
        try:
            rows = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        entries = [
            Entry(row["role"], folder / row["file"], row["media_type"], row["sha256"])
            for row in rows["artifacts"]
        ]
        sizes = {row["file"]: row["size"] for row in rows["artifacts"]}
        with contextlib.suppress(OSError):
            if all(entry.path.stat().st_size == sizes[entry.path.name] for entry in entries):
                return entries
        return None

    def put(
        self, key: str, scratch: Path, artifacts: Iterable[Artifact], about: Mapping[str, Any]
    ) -> list[Entry]:
        """Makes the files of `scratch` the entry of `key`, at one stroke; gives its artifacts."""
        rows = []
        for artifact in artifacts:
            sync_file(artifact.path)
            rows.append(
                {
                    "role": artifact.role,
                    "file": artifact.path.name,
                    "media_type": artifact.media_type,
                    "sha256": file_sha256(artifact.path),
                    "size": artifact.path.stat().st_size,
                }
            )
        manifest = scratch / _MANIFEST
        manifest.write_text(json.dumps({"about": dict(about), "artifacts": rows}), encoding="utf-8")
        sync_file(manifest)
        self._move_into_place(scratch, self._place(key))
        found = self.lookup(key)
        assert found is not None, f"the cache entry {key} was just written"
        return found

    def _move_into_place(self, scratch: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        reach("cache-before-rename")
        if place.exists():
            # A damaged entry, or one that another row has just made: the fresh one is as good.
            old = self._scratch / uuid.uuid4().hex
            place.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        scratch.rename(place)
        sync_folder(place.parent)
        reach("cache-after-rename")

    def _place(self, key: str) -> Path:
        return self._folder / key[:2] / key
