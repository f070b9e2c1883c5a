"""Which material is it? Heard from the posteriorgrams and levels, never from a name. Pure.

Some twenty features with names are measured in at most `MOST_STRETCHES` stretches spread over the piece, so
an hour takes no longer than two minutes. A logistic regression on them gives a share for each material; its
weights lie in `material_weights.py`: `python -m benchmarks.songs.train_materials --write` writes them anew.
What is mistaken for what matters as little as possible to the notes: see `RIGHT_NOTES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.engine.material_weights import CENTRES, COEFFICIENTS, INTERCEPTS, MATERIALS, SCALES
from bridge.engine.posteriors import CONTOUR_BINS, LEVEL_STEPS_PER_DB, LOWEST_PITCH, PACKED_ONE, Posteriors
from bridge.media.notes import Material

STRETCH = 1_024  # frames: 12 s
MOST_STRETCHES = 8
SOUNDS = np.uint16(0.35 * PACKED_ONE)  # a note activation from here on is a sounding note
BEGINS = np.uint16(0.45 * PACKED_ONE)  # an onset activation from here on, being a peak, is a beginning
LATER = 12  # frames over which a sounding note's level is compared: 0.14 s
QUIET_STEPS = 120  # half decibels under the loudest: below there is nothing to judge
RISE_STEPS = 12  # half decibels: a band that rises by this from one frame to the next but one
LOW_TO = 48 - LOWEST_PITCH  # columns of what is low
HIGH_FROM = 96 - LOWEST_PITCH  # columns of the level that only harmonics and noise reach
TREBLE_FROM = 72 - LOWEST_PITCH

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

FEATURES = (
    "voices",  # notes at once, where any sound
    "voices_high",  # nine of ten moments have no more
    "alone",  # share of sounding moments with one note only
    "centre",  # mean pitch, in octaves over MIDI note 21
    "lowest",  # one in ten notes is below this
    "highest",  # one in ten notes is above this
    "low_share",  # share of the sounding notes below C3
    "silent",  # share of moments without a note, though there is sound
    "onsets",  # beginnings a second
    "together",  # beginnings at one moment
    "spread",  # share of beginnings that another follows within 20 to 70 ms
    "sure",  # mean onset activation of beginnings
    "decay",  # how fast sounding notes lose level, in dB per 0.14 s
    "decay_varies",  # and its deviation
    "wobble",  # how far the pitch strays within a note, in thirds of a semitone
    "blurred",  # contour beside the pitch, of that on it
    "broad",  # share of moments in which half of all bands rise at once
    "flat",  # how even the level is over the bands: noise is, notes are not
    "treble",  # level above C7 against the loudest
    "bass",  # level below C3 against the loudest
    "clear",  # mean note activation of sounding notes
    "held",  # mean length of a sounding note in seconds
)


CLEARLY_MORE = 0.01
# Onset F1 that music of one material reaches when it is decoded as another (columns in the order of
# `MATERIALS`), measured on the seeds and sources that things are tuned with. Drums are all or nothing.
RIGHT_NOTES: Mapping[Material, tuple[float, ...]] = {
    "piano": (0.95, 0.937, 0.91, 0.70, 0.40, 0.40, 0.0, 0.93),
    "chords": (0.937, 0.94, 0.92, 0.79, 0.35, 0.35, 0.0, 0.92),
    "guitar": (0.90, 0.88, 0.935, 0.80, 0.46, 0.42, 0.0, 0.92),
    "bass": (0.82, 0.80, 0.89, 0.98, 0.97, 0.96, 0.0, 0.88),
    "solo": (0.93, 0.94, 0.945, 0.67, 0.99, 0.983, 0.0, 0.95),
    "voice": (0.80, 0.82, 0.82, 0.75, 0.80, 0.865, 0.0, 0.85),
    "drums": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "mix": (0.70, 0.64, 0.73, 0.50, 0.30, 0.28, 0.0, 0.76),
}


@dataclass(frozen=True)
class Recognised:
    """The material, one plain sentence why, and each material's share (they sum to 1)."""

    material: Material
    why: str
    scores: Mapping[str, float]


def recognise(heard: Posteriors) -> Recognised:
    """Decides what plays. Silence is taken for a mix, which takes nothing for granted."""
    found = features(heard)
    if found is None:
        return Recognised("mix", "there is hardly a note in it", {})
    shares = scores(found)
    best = decided(shares)
    return Recognised(best, _why(best, found), {name: round(share, 4) for name, share in shares.items()})


def decided(shares: Mapping[Material, float]) -> Material:
    """The likeliest material, unless another promises clearly more right notes, all shares considered."""
    likeliest = max(MATERIALS, key=lambda name: shares[name])
    promises = {name: _promise(name, shares) for name in MATERIALS}
    best = max(MATERIALS, key=lambda name: promises[name])
    return best if promises[best] > promises[likeliest] + CLEARLY_MORE else likeliest


def _promise(decoded_as: Material, shares: Mapping[Material, float]) -> float:
    column = MATERIALS.index(decoded_as)
    return sum(share * RIGHT_NOTES[name][column] for name, share in shares.items())


def scores(found: Mapping[str, float]) -> dict[Material, float]:
    """Each material's share by the regression."""
    values = np.array([found[name] for name in FEATURES])
    standard = np.clip((values - np.array(CENTRES)) / np.array(SCALES), -4, 4)
    logits = np.array(COEFFICIENTS) @ standard + np.array(INTERCEPTS)
    shares = np.exp(logits - logits.max())
    return dict(zip(MATERIALS, (shares / shares.sum()).tolist(), strict=True))


def features(heard: Posteriors) -> dict[str, float] | None:
    """The measures that `FEATURES` names; None if nothing sounds."""
    frames = stretches(len(heard.note))
    level = heard.level[frames]
    loudest = int(level.max(initial=0))
    audible = level.max(axis=1, initial=0) > max(loudest - QUIET_STEPS, 0)
    note, onset = heard.note[frames], heard.onset[frames]
    sounding = note >= SOUNDS
    if loudest == 0 or not audible.any():
        return None
    sounding &= audible[:, np.newaxis]
    return {
        **_voices(sounding, audible),
        **_pitches(sounding),
        **_beginnings(onset, frames),
        **_levels(level, sounding, audible, loudest),
        **_contour(heard.contour[frames], sounding),
        "clear": _mean(note[sounding]) / PACKED_ONE,
        "held": _held(sounding),
    }


def stretches(frames: int) -> NDArray[np.int64]:
    """The frames that are looked at: all of a short piece, else stretches spread evenly."""
    most = STRETCH * MOST_STRETCHES
    if frames <= most:
        return np.arange(frames)
    starts = np.linspace(0, frames - STRETCH, MOST_STRETCHES).astype(np.int64)
    return (starts[:, np.newaxis] + np.arange(STRETCH)).ravel()


def _mean(values: NDArray[np.generic], otherwise: float = 0.0) -> float:
    return float(values.mean()) if values.size else otherwise


def _voices(sounding: Bools, audible: Bools) -> dict[str, float]:
    count = sounding.sum(axis=1)
    some = count[count > 0]
    return {
        "voices": _mean(some),
        "voices_high": float(np.percentile(some, 90)) if some.size else 0.0,
        "alone": _mean(some == 1),
        "silent": 1 - some.size / max(1, int(audible.sum())),
    }


def _pitches(sounding: Bools) -> dict[str, float]:
    columns = sounding.sum(axis=0).astype(np.float64)
    total = max(1.0, float(columns.sum()))
    below = np.cumsum(columns) / total
    return {
        "centre": float(columns @ np.arange(len(columns))) / total / 12,
        "lowest": float(np.searchsorted(below, 0.1)) / 12,
        "highest": float(np.searchsorted(below, 0.9)) / 12,
        "low_share": float(columns[:LOW_TO].sum()) / total,
    }


def _beginnings(onset: NDArray[np.uint16], frames: NDArray[np.int64]) -> dict[str, float]:
    peaks = onset >= BEGINS
    peaks[1:] &= onset[1:] > onset[:-1]
    peaks[:-1] &= onset[:-1] >= onset[1:]
    count = peaks.sum(axis=1)
    near = count + np.roll(count, 1) + np.roll(count, -1)
    after = sum(np.roll(count, -step) for step in range(2, 7))
    at = count > 0
    return {
        "onsets": float(np.log1p(at.sum() / max(1, len(frames)) * 86.13)),
        "together": _mean(near[at], 1.0),
        "spread": _mean(np.asarray(after)[at] > 0),
        "sure": _mean(onset[peaks]) / PACKED_ONE,
    }


def _levels(level: NDArray[np.uint8], sounding: Bools, audible: Bools, loudest: int) -> dict[str, float]:
    steps = level.astype(np.int16)
    rising = (steps[2:] - steps[:-2] >= RISE_STEPS) & (steps[2:] > loudest - QUIET_STEPS)
    heard = steps[audible]
    peak = heard.max(axis=1)
    own = steps[:, : sounding.shape[1]]
    stays = sounding[:-LATER] & sounding[LATER:]
    lost = (own[:-LATER] - own[LATER:])[stays] / LEVEL_STEPS_PER_DB
    return {
        "decay": _mean(lost),
        "decay_varies": float(lost.std()) if lost.size else 0.0,
        "broad": 100 * _mean(rising.sum(axis=1) > 0.5 * level.shape[1]),
        "flat": _mean(heard.mean(axis=1) - peak) / LEVEL_STEPS_PER_DB,
        "treble": _mean(heard[:, HIGH_FROM:].max(axis=1) - peak) / LEVEL_STEPS_PER_DB,
        "bass": _mean(heard[:, :LOW_TO].max(axis=1) - peak) / LEVEL_STEPS_PER_DB,
    }


def _contour(contour: NDArray[np.uint16], sounding: Bools) -> dict[str, float]:
    """How far from its semitone a note's pitch strays: voices and bent strings do, keys do not."""
    frame, pitch = np.nonzero(sounding)
    if not len(frame):
        return {"wobble": 0.0, "blurred": 0.0}
    bins = np.minimum(3 * pitch[:, np.newaxis] + np.arange(3), CONTOUR_BINS - 1)
    below, on, above = contour[frame[:, np.newaxis], bins].astype(np.float32).T
    total = below + on + above + 1
    place = (above - below) / total
    order = np.lexsort((frame, pitch))
    place, frame, pitch = place[order], frame[order], pitch[order]
    same = (np.diff(pitch) == 0) & (np.diff(frame) == 1)
    return {
        "wobble": 100 * _mean(np.abs(np.diff(place))[same]),
        "blurred": _mean((below + above) / total),
    }


def _held(sounding: Bools) -> float:
    begins = int(sounding[:1].sum()) + int((sounding[1:] & ~sounding[:-1]).sum())
    return float(np.log1p(float(sounding.sum()) / max(1, begins) / 86.13))


# Why

MOSTLY = 0.6


def _why(material: Material, found: Mapping[str, float]) -> str:
    """One sentence for a musician, with what was measured."""
    many = found["voices"]
    at_once = "one note at a time" if found["alone"] > MOSTLY else f"about {many:.0f} notes at once"
    return f"{at_once}{_BECAUSE[material]}"


_BECAUSE: Mapping[Material, str] = {
    "piano": ", struck together and dying away, over a wide range: piano",
    "chords": ", struck together and evenly held: electric piano, organ or pad",
    "guitar": ", plucked one shortly after the other: guitar",
    "bass": ", and low: bass",
    "solo": ", at a steady pitch: a solo instrument",
    "voice": ", and its pitch slides and shakes: voice",
    "drums": ", and hits across the whole spectrum without a pitch: drums",
    "mix": " from bass to treble, and hits among them: several instruments",
}
