"""Trains the drum network (`bridge/engine/drum_network.py`) and writes its weights.

    python -m benchmarks.songs.train_drums --drums …/samples --drums …/rumpf_kit_z01_h2 --drums …/Audiophob

It learns from random grooves (`drum_lessons`) on the kits of two SoundFonts, on machines made up at random
and on single drums of free licences (`LOOSE`, each `--drums` is a folder of them), and from the drum and mix
songs of seeds 0 to 9, rendered by those of the tuning sources whose licences are free. `drum_network.py`
tells what that is. It needs PyTorch, which the product does not.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.songs import render, song, song_file, sources_for
from benchmarks.songs.drum_kits import loose_drums, plain_kit, soundfont_kit
from benchmarks.songs.drum_lessons import PIECE_OF, Rack, lesson
from benchmarks.songs.model import Rng
from benchmarks.songs.rendering import SOUNDFONTS
from bridge.engine.drum_bands import BANDS, FRAME_S, Levels, levels, windows
from bridge.engine.drum_network import DILATIONS, FRAMES_BACK, WEIGHTS_FILE, scaled, song_level_db

SEEDS = range(10)
TAUGHT_BY = ("fluid", "musescore", "salamander", "synth")  # MIT, MIT, CC BY 3.0, our own
WORKERS, SHARES = 2, 40
BANDS_SONGS = ("bass", "epiano", "guitar", "lead", "piano", "voice")  # to play along
PROGRAMS = {"fluid": (0, 8, 16, 24, 25, 32, 40), "musescore": (0, 8, 16, 24, 25, 32, 40, 48, 1, 2, 3, 4)}
TAPS, CHANNELS, ANSWERS = (7, 5, 5, 5), 64, 16
SEEN = 1 + sum((taps - 1) * apart for taps, apart in zip(TAPS, DILATIONS, strict=True))
SEGMENT, BATCH = 256, 24
FASTEST = 3e-3
NEAR = 1.6  # frames: how far from a stroke a frame still is a little of it
# How much more a stroke counts than its absence: the rarer the piece the more.
WEIGHTS = (3.0, 3.0, 2.0, 4.0, 5.0)
# The piece (1 snare, 2 hat, 3 tom, 4 cymbal) whose sort it is, and the columns of the answers that tell.
SORTS = ((5,), (6,), (7, 8, 9), (10,))
SORT_OF = {37: 1, 46: 1, 45: 1, 47: 1, 48: 2, 50: 2, 51: 1, 53: 1, 59: 1}

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Taught:
    """One piece of audio: what goes in (frames, bands), and what should come out: strokes and velocities
    (frames, 5), where the latter are known, and sorts (frames, 4), -1 where there is none."""

    inputs: Rows
    struck: Rows
    hard: Rows
    known: Rows
    sort: NDArray[np.int64]


def taught(heard: Levels, strikes: list[tuple[float, int, int]]) -> Taught:
    frames = len(heard)
    struck, hard, known = (np.zeros((frames, 5), np.float32) for _ in range(3))
    sort = np.full((frames, 4), -1, np.int64)
    for at_s, key, velocity in strikes:
        piece, place = PIECE_OF[key], at_s / FRAME_S
        for frame in range(max(0, int(place) - 1), min(frames, int(place) + 3)):
            near = 1 - abs(frame - place) / NEAR
            struck[frame, piece] = max(struck[frame, piece], near)
            if near > 0:
                hard[frame, piece], known[frame, piece] = velocity / 127, 1
                if piece > 0:
                    sort[frame, piece - 1] = SORT_OF.get(key, 0)
    return Taught(scaled(heard, song_level_db(heard)), struck, hard, known, sort)


def _heard(sound: NDArray[Any]) -> Levels:
    return np.concatenate([levels(window) for window, _ in windows([sound.astype(np.float32)])])


@cache
def rack(folders: tuple[Path, ...]) -> Rack:
    kits = [
        soundfont_kit(SOUNDFONTS[source][0], program)
        for source, programs in PROGRAMS.items()
        for program in programs
    ]
    return Rack((*kits, plain_kit()), loose_drums(folders))


def band_songs() -> list[Path]:
    return [
        song_file(song(material, seed), source)
        for material in BANDS_SONGS
        for seed in SEEDS
        for source in sources_for(material)
        if source in TAUGHT_BY
    ]


def lessons(folders: tuple[Path, ...], along: list[Path], numbers: range) -> list[Taught]:
    made = []
    for number in numbers:
        sound, strikes = lesson(np.random.default_rng([12, number]), rack(folders), along)
        made.append(taught(_heard(sound), strikes))
    return made


def songs() -> Iterator[Taught]:
    """The benchmark's own of the tuning seeds."""
    for material in ("drums", "mix"):
        for seed in SEEDS:
            written = song(material, seed)
            strikes = [(note.start_s, note.pitch, note.velocity) for note in written.drums]
            for source in sorted(set(sources_for(material)) & set(TAUGHT_BY)):
                sound, _ = render(written, source)
                yield taught(_heard(sound.mean(axis=1)), strikes)


def everything(folders: tuple[Path, ...], count: int) -> list[Taught]:
    """Lessons on two cores, as they take the most time; then the songs."""
    rack(folders)  # once, before there are several of us
    along = band_songs()
    with ProcessPoolExecutor(WORKERS) as pool:
        jobs = [pool.submit(lessons, folders, along, range(first, count, SHARES)) for first in range(SHARES)]
        made = [part for job in jobs for part in job.result()]
    return [*made, *songs()]


def _segment(part: Taught, rng: Rng) -> Taught:
    """A stretch from anywhere, a little louder or softer and of another colour."""
    first = int(rng.integers(-20, max(1, len(part.inputs) - SEGMENT + 20)))
    inputs = _cut(part.inputs, first - FRAMES_BACK, SEGMENT + SEEN - 1, -1)
    colour = np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 5), rng.normal(0, 0.1, 5))
    inputs = inputs + rng.normal(0, 0.15) + colour * (rng.random() < 0.5) + rng.normal(0, 0.03, inputs.shape)
    return Taught(
        inputs=np.maximum(inputs, -1).astype(np.float32),
        struck=_cut(part.struck, first, SEGMENT, 0),
        hard=_cut(part.hard, first, SEGMENT, 0),
        known=_cut(part.known, first, SEGMENT, 0),
        sort=_cut(part.sort, first, SEGMENT, -1),
    )


def _cut(rows: NDArray[Any], first: int, frames: int, fill: float) -> NDArray[Any]:
    cut = np.full((frames, rows.shape[1]), fill, rows.dtype)
    begins, ends = max(0, first), min(len(rows), first + frames)
    cut[begins - first : ends - first] = rows[begins:ends]
    return cut


def train(parts: list[Taught], steps: int) -> dict[str, NDArray[Any]]:
    """The weights, as `drum_network` reads them."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    frames = np.array([len(part.inputs) for part in parts], dtype=float)
    widths = (BANDS, *[CHANNELS] * len(TAPS))
    layers = [
        torch.nn.Conv1d(width, CHANNELS, taps, dilation=apart)
        for width, taps, apart in zip(widths, TAPS, DILATIONS, strict=False)
    ]
    net = torch.nn.ModuleList([*layers, torch.nn.Conv1d(CHANNELS, ANSWERS, 1)])
    optimiser = torch.optim.AdamW(net.parameters(), FASTEST, weight_decay=1e-3)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, FASTEST, total_steps=steps, pct_start=0.15)
    mean_loss = 0.0
    for step in range(steps):
        chosen = rng.choice(len(parts), BATCH, p=frames / frames.sum())
        batch = [_segment(parts[number], rng) for number in chosen]
        with torch.autocast("cpu", dtype=torch.bfloat16):  # half the time
            said = _answers(torch, net, batch)
        loss = _loss(torch, said.float(), batch)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        pace.step()
        mean_loss += (float(loss.detach()) - mean_loss) * max(0.005, 1 / (step + 1))
        if step % 500 == 0:
            print(f"step {step} of {steps}: loss {mean_loss:.4f}", flush=True)
    return {
        f"{what}_{number}": array.detach().numpy().astype(np.float16)
        for number, layer in enumerate(net)
        for what, array in (("weights", layer.weight.permute(2, 1, 0)), ("bias", layer.bias))
    }


def _answers(torch: Any, net: Any, batch: list[Taught]) -> Any:
    now = torch.from_numpy(np.stack([part.inputs.T for part in batch]))
    for number, layer in enumerate(net[:-1]):
        out = torch.relu(layer(now))
        spare = (now.shape[-1] - out.shape[-1]) // 2
        now = out + now[..., spare:][..., : out.shape[-1]] if number else out
    return net[-1](torch.nn.functional.dropout1d(now, 0.05)).transpose(1, 2)


def _loss(torch: Any, answers: Any, batch: list[Taught]) -> Any:
    fn = torch.nn.functional
    struck, hard, known, sort = (
        torch.from_numpy(np.stack([getattr(part, name) for part in batch]))
        for name in ("struck", "hard", "known", "sort")
    )
    each = fn.binary_cross_entropy_with_logits(answers[..., :5], struck, reduction="none")
    loss = 6 * (each * (1 + (torch.tensor(WEIGHTS) - 1) * (struck > 0.3))).mean()
    loss = loss + (((torch.sigmoid(answers[..., 11:]) - hard) ** 2) * known).sum() / known.sum().clamp(min=1)
    for which, columns in enumerate(SORTS):
        there = sort[..., which] >= 0
        if there.any():
            said, true = answers[..., list(columns)][there], sort[..., which][there]
            one = len(columns) == 1
            wrong = (
                fn.binary_cross_entropy_with_logits(said[:, 0], true.float())
                if one
                else fn.cross_entropy(said, true)
            )
            loss = loss + 0.05 * wrong
    return loss


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--drums", type=Path, action="append", default=[], help="a folder of `LOOSE` drums")
    parser.add_argument("--lessons", type=int, default=800)
    parser.add_argument("--steps", type=int, default=8500)
    parser.add_argument("--out", type=Path, default=WEIGHTS_FILE)
    asked = parser.parse_args()
    parts = everything(tuple(asked.drums), asked.lessons)
    np.savez_compressed(asked.out, allow_pickle=False, **train(parts, asked.steps))


if __name__ == "__main__":
    main()
