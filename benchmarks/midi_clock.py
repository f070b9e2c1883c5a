"""How closely the bridge follows a 24-ppqn clock that jitters, loses ticks or changes its tempo.

    python -m benchmarks.midi_clock [--seeds 8] [--jitter-ms 2]

Time is simulated, so it takes seconds and shows the same everywhere. Notes every sixteenth of a beat, each
sent when the follower says so; the error is against the true time of the note's beat.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bridge.midi.clock import ClockFollower
from support.midi_clocks import Ramp, followed, steady, step, ticks, worst

JACK_PERIOD_S = 1024 / 48000


@dataclass(frozen=True)
class Trial:
    name: str
    time_of: Callable[[float], float]
    beats: float
    lost: float = 0.0
    doubled: float = 0.0
    grid_s: float = 0.0
    jitter: bool = True
    from_beat: float = 4.0


def trials() -> Iterator[Trial]:
    for bpm in (60, 120, 174):
        yield Trial(f"{bpm} BPM", steady(bpm).time_of, 256)
    yield Trial("ramp 100 to 140 in 8 bars", Ramp(100, 140, 32, begins=8).time_of, 48)
    yield Trial("ramp 140 to 100 in 8 bars", Ramp(140, 100, 32, begins=8).time_of, 48)
    yield Trial("ramp 60 to 180 in 8 bars", Ramp(60, 180, 32, begins=8).time_of, 48)
    for bpm in (60, 120, 174):
        yield Trial(f"{bpm} BPM, 1 % of ticks lost", steady(bpm).time_of, 256, lost=0.01)
    yield Trial("ramp 100 to 140, 1 % lost", Ramp(100, 140, 32, begins=8).time_of, 48, lost=0.01)
    yield Trial("120 BPM, 5 % lost, 5 % doubled", steady(120).time_of, 256, lost=0.05, doubled=0.05)
    yield Trial("120 BPM, ten minutes", steady(120).time_of, 1200)
    yield Trial("120 BPM, the first bar", steady(120).time_of, 4, from_beat=0.0)
    yield Trial("120 BPM, no jitter", steady(120).time_of, 256, jitter=False)
    for bpm in (60, 120, 174):
        yield Trial(
            f"{bpm} BPM, seen once in 21.3 ms", steady(bpm).time_of, 256, grid_s=JACK_PERIOD_S, jitter=False
        )
    for after in (126, 140, 90, 60, 240):
        yield Trial(
            f"120 to {after} BPM at once: beats 2 to 8 behind", step(120, after, 16), 24, from_beat=18
        )


def measured(trial: Trial, seeds: int, jitter_s: float) -> tuple[float, float, float, float]:
    """Milliseconds: p50, p99 and worst error, and by how much the last quarter is later than the rest."""
    errors: list[float] = []
    drifts: list[float] = []
    for seed in range(seeds):
        arrivals = list(
            ticks(
                trial.time_of, trial.beats, seed=seed, jitter_s=jitter_s if trial.jitter else 0.0,
                lost=trial.lost, doubled=trial.doubled, grid_s=trial.grid_s,
            )
        )  # fmt: skip
        found = followed(
            ClockFollower("bench", grid_s=trial.grid_s), trial.time_of, arrivals, from_beat=trial.from_beat
        )
        errors += found
        cut = len(found) * 3 // 4
        drifts.append(fmean(found[cut:]) - fmean(found[:cut]))
    return worst(errors, 0.5), worst(errors), worst(errors, 1.0), 1000 * fmean(drifts)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    asked.add_argument("--seeds", type=int, default=8)
    asked.add_argument("--jitter-ms", type=float, default=2.0)
    options = asked.parse_args()
    print(f"{f'ms, jitter ±{options.jitter_ms:g} ms':44} {'p50':>7} {'p99':>7} {'worst':>7} {'drift':>7}")
    for trial in trials():
        row = measured(trial, options.seeds, options.jitter_ms / 1000)
        print(f"{trial.name:44} " + " ".join(f"{value:7.2f}" for value in row))


if __name__ == "__main__":
    main()
