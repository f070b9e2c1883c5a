"""Who answers the compatible server's conversions, as the server sees it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bridge.conversions.model import Conversion


@dataclass(frozen=True)
class Upload:
    """A file that was sent or fetched, kept under the hash of its bytes."""

    path: Path
    sha256: str
    size: int
    seconds: float = 0.0
    """Of sound; 0 where it is none."""


@dataclass(frozen=True)
class Asked:
    """One conversion to be done. `parameters` holds every parameter that travels, defaults filled in."""

    conversion: Conversion
    parameters: Mapping[str, Any]
    source: Upload | None = None
    others: Mapping[str, Upload] = field(default_factory=dict)
    """Further files, by the name of their field."""


@dataclass(frozen=True)
class Made:
    """One result, by its role in the catalogue: a file, words or data."""

    role: str
    file: Path | None = None
    wav: Path | None = None
    """The same sound as a WAV, where the API gives both."""
    text: str = ""
    data: Any = None
    seconds: float = 0.0
    """Of sound."""


class Answerer(Protocol):
    """All calls may come from any thread, and may take their time."""

    def check(self, conversion: Conversion, parameters: Mapping[str, Any]) -> None:
        """Raises a BridgeError where this cannot be done here, whatever the source."""
        ...

    def measure(self, source: Path) -> float:
        """The seconds of sound in a file. Raises AudioError for what is none."""
        ...

    def answer(self, asked: Asked) -> tuple[Made, ...]:
        """Does it. Files stay until the server ends. Raises BridgeError where it fails."""
        ...
