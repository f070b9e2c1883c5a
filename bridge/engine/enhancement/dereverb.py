"""The local `dereverb`: late reverb is foretold from what sounded before, and taken away."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.enhancement.material import material_of, source_at
from bridge.engine.enhancement.reverb_frames import Framing, Spectra
from bridge.engine.enhancement.reverb_presence import foretold_db, taken_from_held_db
from bridge.engine.enhancement.wpe import Prediction, late_part
from bridge.engine.parts import write_parts
from bridge.engine.reading import told_blocks
from bridge.engine.windows import overlapped
from bridge.media.audio_files import expected_samples
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_sources import open_source
from bridge.media.raw_pcm import Samples

DOING: Final = "taking reverb out"
WINDOW_S, OVERLAP_S = 20.0, 2.0
LEAST_S: Final = 10.0
"""A shorter window at the end is worked on together with what came before it."""
MOST_WINDOW_SAMPLES: Final = 16_000_000
LEAST_WINDOW_S: Final = 6.0

DELAY: Final = 3  # frames of 16 ms: what comes sooner belongs to the sound
SPLIT_HZ: Final = 4_000.0
"""High reverb is shorter, as air and walls take it: filters are shorter above."""


@dataclass(frozen=True)
class Setting:
    """What differs between one channel and two. In dB, each pair is where a ramp begins and ends."""

    low_taps: int
    high_taps: int
    rounds: int
    floor_db: float
    foretold_db: tuple[float, float]
    """What is foretold of a dry voice at most; from where on reverb is fully taken away."""
    least_held_db: tuple[float, float]
    """Reverb lies under held sound too. Where less is taken from it, drums and strings fade by themselves."""
    certain_db: tuple[float, float]
    """Foretold so well, it is a room whatever is held."""

    def predictions(self) -> tuple[Prediction, Prediction]:
        """Below and above `SPLIT_HZ`."""
        low, high = (
            Prediction(taps, DELAY, self.rounds, self.floor_db) for taps in (self.low_taps, self.high_taps)
        )
        return low, high


SETTINGS: Final = {
    1: Setting(24, 14, 3, 30.0, (0.15, 0.27), (0.15, 0.35), (1.0, 1.3)),
    2: Setting(16, 8, 2, 40.0, (0.40, 0.65), (0.35, 0.50), (1.6, 2.2)),
}
MUSIC: Final = (
    "taken for music, whose own tails cannot be told from a room's, so nothing was taken away "
    "(material=speech takes it out of a voice all the same)"
)
MOST_HELD_DB: Final = (2.1, 2.5)
"""Where more is taken from held sound, it is the tones."""

Check = Callable[[], None]


@dataclass
class Found:
    """What was heard in all windows so far."""

    source: float = field(default=0.0)
    taken: float = field(default=0.0)
    held_tones: bool = field(default=False)

    def add(self, sound: Samples, late: Samples) -> None:
        self.source += float(np.square(sound, dtype=np.float64).sum())
        self.taken += float(np.square(late, dtype=np.float64).sum())

    @property
    def reverb_db(self) -> float | None:
        """What was taken away, against the source."""
        if not self.taken:
            return None
        return round(10 * math.log10(self.taken / self.source), 1)

    @property
    def note(self) -> str:
        if self.reverb_db is not None:
            words = f"reverb of {self.reverb_db:.1f} dB against the recording was taken out"
            return f"{words}, but not where tones are held" if self.held_tones else words
        if self.held_tones:
            return "held tones cannot be told from reverb here, so nothing was taken away"
        return "no reverb was found, so nothing was taken away"


@dataclass
class Dereverberation:
    """Windows of (frames, channels) float32 in their order, each cleaned with what is told in itself."""

    framing: Framing
    check: Check
    found: Found
    before: Samples | None = None

    def clean(self, window: Samples) -> tuple[Samples]:
        window = np.nan_to_num(window, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        whole = self._with_before(window)
        late = np.concatenate(
            [self._late(whole[:, pair : pair + 2]) for pair in range(0, whole.shape[1], 2)], axis=1
        )[len(whole) - len(window) :]
        self.before = whole[-round(LEAST_S * self.framing.rate_hz) :].copy()
        self.found.add(window, late)
        return (window - late,)

    def _with_before(self, window: Samples) -> Samples:
        """A short window has too little to be told from: what came before is put before it."""
        lacking = round(LEAST_S * self.framing.rate_hz) - len(window)
        overlap = round(OVERLAP_S * self.framing.rate_hz)
        if self.before is None or lacking <= 0 or overlap >= len(self.before):
            return window
        # The window begins with the end of the one before.
        return np.concatenate([self.before[:-overlap][-lacking:], window])

    def _late(self, sound: Samples) -> Samples:
        """The late reverb of one or two channels."""
        self.check()
        if sound.shape[1] == 2 and np.array_equal(sound[:, 0], sound[:, 1]):  # noqa: PLR2004 - a pair
            return np.repeat(self._late(sound[:, :1]), 2, axis=1)
        peak = np.abs(sound).max(initial=0)
        if not peak:
            return np.zeros_like(sound)
        setting = SETTINGS[sound.shape[1]]
        spectra, hertz = self.framing.spectra(sound / peak), self.framing.hertz
        foretold = foretold_db(spectra, hertz, setting.floor_db, self.check)
        strength = _rising(foretold, *setting.foretold_db)
        if not strength:
            return np.zeros_like(sound)
        late = self._predicted(spectra, setting)
        held_db = taken_from_held_db(spectra, late, hertz)
        self.found.held_tones |= held_db > MOST_HELD_DB[0]
        is_room = max(_rising(held_db, *setting.least_held_db), _rising(foretold, *setting.certain_db))
        strength *= is_room * (1 - _rising(held_db, *MOST_HELD_DB))
        if not strength:
            return np.zeros_like(sound)
        return self.framing.sound(late, len(sound)) * np.float32(strength * peak)

    def _predicted(self, spectra: Spectra, setting: Setting) -> Spectra:
        split = int(np.searchsorted(self.framing.hertz, SPLIT_HZ))
        low, high = setting.predictions()
        return np.concatenate(
            [late_part(spectra[:split], low, self.check), late_part(spectra[split:], high, self.check)]
        )


def _rising(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end` on."""
    return min(1.0, max(0.0, (value - start) / (end - start)))


def dereverb(job: AudioJob) -> list[Row]:
    """Writes `clean` and `removed`, which add up to the source. Raises AudioError."""
    job.progress(0.0, DOING)
    own = AudioFormat.of(job.source)
    found = Found()
    if job.parameters["material"] == "auto" and material_of(job.stage(0.0, 0.2)) == "music":
        parts, note = _untouched(job, own), MUSIC
    else:
        parts, note = _cleaned(job.stage(0.2, 1.0), own, found), ""
    rows = write_parts(job, own, parts, ["clean"], rest="removed")
    for row in rows:
        notes = [note or found.note, *filter(None, [row["about"].get("note")])]
        row["about"] |= {"quality": "good", "reverb_db": found.reverb_db, "note": ", ".join(notes)}
    job.progress(1.0, "done")
    return rows


def _untouched(job: AudioJob, own: AudioFormat) -> Iterator[tuple[Samples, ...]]:
    with closing(source_at(job, own.rate_hz, DOING)) as blocks:
        for block in blocks:
            yield (block,)


def _cleaned(job: AudioJob, own: AudioFormat, found: Found) -> Iterator[tuple[Samples, ...]]:
    room = Dereverberation(Framing(own.rate_hz), job.check, found)
    fitting_s = MOST_WINDOW_SAMPLES / (own.channels * own.rate_hz)
    frames = round(min(WINDOW_S, max(LEAST_WINDOW_S, fitting_s)) * own.rate_hz)
    with open_source(job.source) as source:
        yield from overlapped(
            told_blocks(source.blocks, expected_samples(job.source, own.rate_hz), job.progress, DOING),
            room.clean,
            frames=frames,
            overlap=round(OVERLAP_S * own.rate_hz),
        )
