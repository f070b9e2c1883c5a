"""Notes that are played instead of written: a result becomes a MIDI file of ours, and an order to play it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bridge.delivery.render import render
from bridge.errors import DeliveryError
from bridge.jobs.records import ArtifactRecord
from bridge.media.musical_context import MusicalContext
from bridge.media.notes import NOTES_MEDIA_TYPE
from bridge.midi.messages import Play

MIDI_MEDIA_TYPES = frozenset({NOTES_MEDIA_TYPE, "audio/midi", "audio/x-midi", "audio/mid"})
KEPT_FILES = 256

Tell = Callable[[Play], str]
"""Hands an order to whoever plays; gives why it is not played, else nothing."""

AFTER_RESTART = "not played, as the bridge was restarted meanwhile (`bridge trigger stream` plays it)"


def is_playable(artifact: ArtifactRecord) -> bool:
    return artifact.media_type in MIDI_MEDIA_TYPES


def play_id(job_id: int, artifact_id: int) -> str:
    """What a result is called among those that play; all of a job begin with its number and a slash."""
    return f"{job_id}/{artifact_id}"


class Streaming:
    """Makes the files that are played, in `folder`."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._folder = folder
        self._tell = tell

    def play(
        self,
        artifact: ArtifactRecord,
        context: MusicalContext,
        job_id: int,
        track_name: str,
        how: Mapping[str, Any],
    ) -> str:
        """Plays a result as `how` says (the fields of a preset's `StreamTable`); gives a word on it.

        Raises DeliveryError where it cannot be read, ValueError for notes of another version of the bridge.
        """
        path = self._written(artifact, context, track_name)
        order = order_to_play(play_id(job_id, artifact.id), path, how)
        why_not = self._tell(order)
        return f"not played: {why_not}" if why_not else _words(order)

    def _written(self, artifact: ArtifactRecord, context: MusicalContext, track_name: str) -> Path:
        """Begins at the bar line of the bounce, so that it falls on the grid wherever it is started."""
        data = render(artifact, context, {"midi_start": "bar"}, track_name=track_name).content.read()
        path = self._folder / f"{hashlib.sha256(data).hexdigest()[:32]}.mid"
        try:
            if not path.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._make_room()
                descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                Path(name).replace(path)
        except OSError as error:
            raise DeliveryError(f"it cannot be played: {error}.", file=self._folder) from error
        return path

    def _make_room(self) -> None:
        oldest_first = sorted(self._folder.glob("*.mid"), key=lambda one: one.stat().st_mtime)
        for one in oldest_first[:-KEPT_FILES]:
            one.unlink(missing_ok=True)


def order_to_play(name: str, path: Path, how: Mapping[str, Any]) -> Play:
    when = how.get("when", "bar")
    armed = when == "armed"
    return Play(
        id=name,
        path=str(path),
        when="bar" if armed else when,
        count=int(how.get("count", 1)),
        armed=armed,
        loop=bool(how.get("loop", False)),
        transpose=int(how.get("transpose", 0)),
        channels=dict(how.get("channels", {})),
        port=str(how.get("port", "")),
        follow=how.get("follow", "launch"),
    )


def _words(order: Play) -> str:
    if order.armed:
        return "armed"
    if order.when == "now":
        return "plays"
    every = f" {order.count}" if order.count > 1 else ""
    return f"plays at the next{every} {order.when}{'s' if order.count > 1 else ''}"
