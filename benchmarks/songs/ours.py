"""Our transcriber, called as the product calls it. What changes there is followed here, in this one place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from bridge.engine import notes as engine
from bridge.engine.hearing import Hearings
from bridge.engine.listeners import LISTENERS, MODELS_OF, Ear, network
from bridge.engine.materials import recognise
from bridge.engine.models import ModelStore
from bridge.engine.note_decoding import DecodingOptions, decode
from bridge.engine.posteriors import FRAME_HOP, FRAME_S, Posteriors
from bridge.media.notes import Material, Note

TEN_MINUTES_S = 600.0


@dataclass(frozen=True)
class Heard:
    """What was found in a file. `wall_s` is the whole conversion's time, hearing included if it was fresh."""

    notes: list[Note]
    material: str
    why: str
    quality: str
    wall_s: float


@dataclass(frozen=True)
class Transcriber:
    """`hearings`: where what was heard is kept; None: every file is heard anew."""

    store: ModelStore
    hearings: Path | None
    threads: int = 1

    def __call__(self, path: Path, material: str, quality: str = "good") -> Heard:
        """The notes in a file. `material` "auto": the engine hears what it is."""
        ear = self._ear(path)
        asked = engine.wanted({"material": material, "quality": quality})
        began_s = time.perf_counter()
        found = engine.transcribe(ear, asked)
        wall_s = time.perf_counter() - began_s
        about = found.about
        return Heard(list(found.notes), about["material"], about["why"], about["quality"], wall_s)

    def posteriors(self, path: Path) -> Posteriors:
        return network(self._ear(path))

    def _ear(self, path: Path) -> Ear:
        names = [model.name for model in (state.model for state in self.store.states())]
        here = [state.model.name for state in self.store.states() if state.presence == "present"]
        return Ear(
            path,
            {name: self.store.path(name) for name in here},
            {name: self.store.fingerprint(name) for name in names},
            Hearings(self.hearings, path.stem),
            threads=self.threads,
            progress=lambda _share, _doing: None,
            check=lambda: None,
            fetch_model=lambda name: self.store.pull(name, report=print),
        )


def ten_minutes(heard: Sequence[Posteriors]) -> Posteriors:
    """What was heard in several pieces, one after the other and again until it is ten minutes."""
    frames = round(TEN_MINUTES_S / FRAME_S)
    rows = {}
    for name in ("note", "onset", "contour", "level"):
        once = np.concatenate([getattr(piece, name) for piece in heard])
        rows[name] = np.tile(once, (-(-frames // len(once)), 1))[:frames]
    return Posteriors(**rows, samples=frames * FRAME_HOP)


def decoding_s(heard: Posteriors, *, runs: int = 3) -> dict[str, float]:
    """Seconds from posteriorgrams to notes for each material that is decoded so, and for recognising it."""
    took = {"recognise": min(_timed(lambda: recognise(heard)) for _ in range(runs))}
    options = DecodingOptions()
    for material in get_args(Material):
        if MODELS_OF[LISTENERS[material, "good"]] == ("basic-pitch",):
            took[material] = min(_timed(lambda m=material: decode(heard, options, m)) for _ in range(runs))
    return took


def _timed(work: object) -> float:
    assert callable(work)
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
