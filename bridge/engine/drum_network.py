"""Which piece of a drum kit is struck when, how hard, and which sort of it: a small network. Pure.

Four convolutions over time, each wider than the one before, so that a frame's answer depends on the 0.12 s
before and the 0.24 s after it: how a sound dies tells an open hat from a closed one. Trained on drum kits
whose strokes are known, alone and with other instruments; the weights lie beside this module.
`benchmarks/songs/train_drums.py` makes them anew. It learned from these sounds only:

    the kits of FluidR3 GM (MIT; Frank Wen) and of MuseScore General (MIT, parts public domain or CC0;
    S. Christian Collins), and these two's other instruments to play along;
    Sonic Pi's drum samples (CC0, from freesound.org); the kit Audiophob (CC0);
    rumpf-kit z01 (CC BY 3.0; Emanuel Rumpf);
    to play along, Salamander Grand Piano (CC BY 3.0; Alexander Holm);
    drum machines made up at random, and the drums and instruments of this project's own synthesisers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.engine.drum_bands import BANDS, FLOOR_DB, STEPS_PER_DB, Levels

WEIGHTS_FILE = Path(__file__).with_name("drum_weights.npz")
DILATIONS = (1, 2, 4, 8)  # frames between the taps of each layer
FRAMES_BACK = 20
CHUNK_FRAMES = 2048

PIECES = ("kick", "snare", "hat", "tom", "cymbal")
STICK, OPEN, LOW_TOM, MID_TOM, HIGH_TOM, RIDE = range(6)  # columns of what sort it is

# What three frames around a stroke of each piece sum up to when it is as likely as not (tuned on songs of
# seeds 0..9).
DOUBTFUL = np.array((1.05, 0.75, 0.65, 0.7, 0.8), np.float32)

# The song's own level: loudest frame of each second, without the seconds that are much softer.
SECOND_FRAMES = 172
QUIET_SECONDS_DB = 30.0
SILENCE_DB = -80.0
BELOW_SONG_DB, SCALE_DB, HIGHEST_INPUT = 60.0, 20.0, 4.0

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """Each layer's weights, (taps, inputs, outputs) and (outputs,); the last layer has one tap."""

    layers: tuple[tuple[Rows, Rows], ...]
    out: tuple[Rows, Rows]

    @property
    def frames_seen(self) -> int:
        return 1 + sum(
            (len(taps) - 1) * apart for (taps, _), apart in zip(self.layers, DILATIONS, strict=True)
        )


@dataclass(frozen=True)
class Strokes:
    """For each frame: how sure it is that each piece is struck (frames, 5), which sort it then is (frames, 6;
    shares of one for the toms), and how hard it then is struck, 0..1 of MIDI's velocities (frames, 5)."""

    struck: Rows
    sort: Rows
    hard: Rows


@lru_cache(maxsize=1)
def network() -> Network:
    with np.load(WEIGHTS_FILE, allow_pickle=False) as file:
        pairs = [
            (file[f"weights_{n}"].astype(np.float32), file[f"bias_{n}"].astype(np.float32))
            for n in range(len(DILATIONS) + 1)
        ]
    last_weights, last_bias = pairs[-1]
    return Network(tuple(pairs[:-1]), (last_weights[0], last_bias))


def strokes(levels: Levels, *, check: Callable[[], None] = lambda: None) -> Strokes:
    """What the network says to the whole of a piece's band levels, (frames, `BANDS`).

    `check` is called now and then and may raise to cancel.
    """
    seen, chunks = network().frames_seen, []
    song_db = song_level_db(levels)
    for begins in range(0, len(levels) if song_db > SILENCE_DB else 0, CHUNK_FRAMES):
        check()
        ends = min(begins + CHUNK_FRAMES, len(levels))
        first, last = begins - FRAMES_BACK, ends - FRAMES_BACK + seen - 1
        around = scaled(levels[max(0, first) : last], song_db)
        missing = (max(0, -first), max(0, last - len(levels)))
        chunks.append(_answers(np.pad(around, (missing, (0, 0)), constant_values=-1)))
    answers = np.concatenate(chunks) if chunks else np.full((len(levels), 16), -100, np.float32)
    sort = _likely(answers[:, 5:11])
    sort[:, LOW_TOM : HIGH_TOM + 1] = _shares(answers[:, 5 + LOW_TOM : 6 + HIGH_TOM])
    return Strokes(_sure(_likely(answers[:, :5])), sort, _likely(answers[:, 11:]))


def song_level_db(levels: Levels) -> float:
    """How loud the song's louder moments are in their loudest band."""
    if len(levels) == 0:
        return FLOOR_DB
    loudest = levels.max(axis=1)
    seconds = np.pad(loudest, (0, -len(loudest) % SECOND_FRAMES)).reshape(-1, SECOND_FRAMES).max(axis=1)
    decibels = seconds / STEPS_PER_DB + FLOOR_DB
    return float(np.median(decibels[decibels >= decibels.max() - QUIET_SECONDS_DB]))


def scaled(levels: Levels, song_db: float) -> Rows:
    """What goes into the network: levels relative to the song's own, about -1..4."""
    decibels = levels.astype(np.float32) / STEPS_PER_DB + np.float32(FLOOR_DB - song_db + BELOW_SONG_DB)
    return np.clip(decibels / np.float32(SCALE_DB), -1, HIGHEST_INPUT)


def _answers(inputs: Rows) -> Rows:
    """(frames - frames seen + 1, 16): raw answers."""
    assert inputs.shape[1] == BANDS
    net, now = network(), inputs
    for number, ((taps, bias), apart) in enumerate(zip(net.layers, DILATIONS, strict=True)):
        frames = len(now) - (len(taps) - 1) * apart
        total = now[:frames] @ taps[0]
        for tap in range(1, len(taps)):
            total += now[tap * apart : tap * apart + frames] @ taps[tap]
        np.maximum(total + bias, 0, out=total)
        if number:  # what came in goes on, from the middle of what the layer saw
            total += now[(len(now) - frames) // 2 :][:frames]
        now = total
    answers: Rows = now @ net.out[0] + net.out[1]
    return answers


def _likely(raw: Rows) -> Rows:
    likely: Rows = (1 / (1 + np.exp(-np.clip(raw, -60, 60)))).astype(np.float32)
    return likely


def _sure(likely: Rows) -> Rows:
    """How sure a stroke is, 0.5 where that is as good as not. The network spreads a stroke over the frames
    around it, so three of them say more than one."""
    around = np.pad(likely, ((1, 1), (0, 0)))
    cubed = (around[:-2] + around[1:-1] + around[2:]) ** 3
    sure: Rows = cubed / (cubed + DOUBTFUL**3)
    return sure


def _shares(raw: Rows) -> Rows:
    grown = np.exp(raw - raw.max(axis=1, keepdims=True))
    shares: Rows = (grown / grown.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
