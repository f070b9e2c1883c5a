"""A graph's builder for tests: what it makes tells what it was made of."""

from __future__ import annotations

from pathlib import Path

from bridge.errors import ModelError


def build(source: Path) -> bytes:
    data = source.read_bytes()
    if data.startswith(b"bad"):
        raise ModelError("this cannot be made into a graph", file=source)
    return b"graph of " + data[:8]
