from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bridge.converters.base import Artifact
from bridge.jobs.cache import Cache, Entry, cache_key, file_sha256

KEY = "ab" * 32
WHOLE: dict[str, Any] = {
    "samples_sha256": "s",
    "conversion": "c",
    "parameters": {"a": 1, "b": [1, 2]},
    "converter": "local",
    "fingerprint": {"engine": "1"},
}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def _put(cache: Cache, content: bytes = b"notes", key: str = KEY) -> list[Entry]:
    scratch = cache.scratch()
    (scratch / "notes.json").write_bytes(content)
    (scratch / "notes.csv").write_bytes(content * 2)
    artifacts = [
        Artifact("midi", scratch / "notes.json", "application/json"),
        Artifact("note_events", scratch / "notes.csv", "text/csv"),
    ]
    return cache.put(key, scratch, artifacts, {"conversion": "audio_to_midi"})


def _scratches(cache: Cache) -> list[Path]:
    return list(cache._scratch.iterdir())


def test_what_was_put_is_found_and_lies_where_it_says(cache: Cache) -> None:
    assert cache.lookup(KEY) is None
    entries = _put(cache)
    assert entries == cache.lookup(KEY)
    midi, events = entries
    assert (midi.role, midi.media_type, midi.path.read_bytes()) == ("midi", "application/json", b"notes")
    assert midi.sha256 == hashlib.sha256(b"notes").hexdigest() == file_sha256(midi.path)
    assert events.path.read_bytes() == b"notesnotes"
    assert _scratches(cache) == []
    manifest = json.loads((midi.path.parent / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["about"] == {"conversion": "audio_to_midi"}


def test_an_entry_outlives_its_cache(cache: Cache, tmp_path: Path) -> None:
    entries = _put(cache)
    assert Cache(tmp_path / "cache").lookup(KEY) == entries


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "notes.json").unlink(),
        lambda folder: (folder / "notes.json").write_bytes(b"noteS"),  # of the same length
        lambda folder: (folder / "notes.csv").write_bytes(b""),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_bytes(b"{"),
        lambda folder: (folder / "manifest.json").write_bytes(b"[]"),
        lambda folder: (folder / "manifest.json").write_bytes(b"{}"),
        lambda folder: (folder / "manifest.json").write_bytes(b'{"artifacts": [{}]}'),
        lambda folder: (folder / "manifest.json").write_bytes(b'{"artifacts": null}'),
        lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"),
    ],
)
def test_a_damaged_entry_is_none_and_can_be_put_anew(cache: Cache, damage: Any) -> None:
    (first, _) = _put(cache)
    damage(first.path.parent)
    assert cache.lookup(KEY) is None
    entries = _put(cache, b"fresh")
    assert cache.lookup(KEY) == entries
    assert entries[0].path.read_bytes() == b"fresh"
    assert _scratches(cache) == []


def test_a_second_result_of_the_same_key_leaves_the_first_alone(cache: Cache) -> None:
    """Rows of the journal name the files of the first by their hashes."""
    first = _put(cache, b"first")
    assert _put(cache, b"second") == first
    assert first[0].path.read_bytes() == b"first"
    assert _scratches(cache) == []


def test_two_threads_that_put_the_same_key_both_get_a_whole_entry(cache: Cache) -> None:
    for number in range(25):
        key = hashlib.sha256(bytes([number])).hexdigest()
        start = threading.Barrier(4)
        found: list[list[Entry]] = []

        def put(
            content: bytes, key: str = key, start: threading.Barrier = start, found: list[Any] = found
        ) -> None:
            start.wait()
            found.append(_put(cache, content, key))

        threads = [threading.Thread(target=put, args=(bytes([65 + one]) * 100,)) for one in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [cache.lookup(key)] * 4
    assert _scratches(cache) == []


CRASH = """
import sys
from pathlib import Path
from bridge.converters.base import Artifact
from bridge.jobs.cache import Cache
cache = Cache(Path(sys.argv[1]))
scratch = cache.scratch()
(scratch / "notes.json").write_bytes(b"notes")
cache.put("ab" * 32, scratch, [Artifact("midi", scratch / "notes.json", "application/json")], {})
"""


@pytest.mark.parametrize(("point", "found"), [("cache-before-rename", False), ("cache-after-rename", True)])
def test_a_crash_leaves_the_whole_entry_or_none_and_no_scratch(
    tmp_path: Path, point: str, found: bool
) -> None:
    environment = {**os.environ, "BRIDGE_CRASH_AT": point}
    ended = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path)], env=environment, check=False)
    assert ended.returncode == 137
    cache = Cache(tmp_path)
    assert (cache.lookup(KEY) is not None) == found
    assert _scratches(cache) == []
    assert len(_put(cache, b"notes")) == (1 if found else 2)


def test_the_key_is_the_same_for_the_same_and_another_for_every_other_part() -> None:
    key = cache_key(**WHOLE)
    assert len(key) == 64
    assert cache_key(**{**WHOLE, "parameters": {"b": [1, 2], "a": 1}}) == key
    others: list[dict[str, Any]] = [
        {"samples_sha256": "t"},
        {"conversion": "d"},
        {"parameters": {"a": 2, "b": [1, 2]}},
        {"parameters": {"a": 1}},
        {"parameters": {"a": "1", "b": [1, 2]}},
        {"parameters": {"a": True, "b": [1, 2]}},
        {"converter": "musicgpt"},
        {"fingerprint": {"engine": "2"}},
        {"fingerprint": {"engine": "1", "model": "x"}},
        {"fingerprint": {}},
        {"samples_sha256": "", "conversion": "sc"},
    ]
    assert len({key, *(cache_key(**{**WHOLE, **other}) for other in others)}) == len(others) + 1
