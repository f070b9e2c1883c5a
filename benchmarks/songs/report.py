"""The benchmark's tables: means over songs, what `auto` took each for, and the targets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.songs.band import ENGINE_MATERIAL, MATERIALS
from benchmarks.songs.kit import PIECES
from benchmarks.songs.scoring import Score

PITCHED = tuple(material for material in MATERIALS if material != "drums")
HEADED = ("piano", "epiano", "guitar", "bass", "lead", "mix")  # the materials that the targets name


@dataclass(frozen=True)
class Row:
    """One song by one source. `named`: material named by hand; `auto`: heard; `best`: best quality."""

    material: str
    source: str
    seed: int
    duration_s: float
    named: Score
    wall_s: float
    auto: Score | None = None
    taken_for: str = ""
    why: str = ""
    best: Score | None = None
    peer: Score | None = None
    pieces: Mapping[str, Score] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    what: str
    wanted: float
    at_most: bool
    reached: float

    @property
    def verdict(self) -> str:
        if math.isnan(self.reached):
            return "not measured"
        good = self.reached <= self.wanted if self.at_most else self.reached >= self.wanted
        return "reached" if good else "missed"


def mean(values: Iterable[float]) -> float:
    kept = [value for value in values if not math.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")


def by_material(rows: Sequence[Row], material: str, value: Callable[[Row], float]) -> float:
    return mean(value(row) for row in rows if row.material == material)


def f1(score: Score | None) -> float:
    return score.f1 if score else float("nan")


def offsets(score: Score | None) -> float:
    return score.f1_offsets if score else float("nan")


def gained(row: Row) -> float:
    return f1(row.named) - f1(row.peer)


def gained_with_offsets(row: Row) -> float:
    return offsets(row.named) - offsets(row.peer)


COLUMNS: tuple[tuple[str, Callable[[Row], float]], ...] = (
    ("ours", lambda row: f1(row.named)),
    ("auto", lambda row: f1(row.auto)),
    ("best", lambda row: f1(row.best)),
    ("peer", lambda row: f1(row.peer)),
    ("less", gained),
    ("P", lambda row: row.named.precision),
    ("R", lambda row: row.named.recall),
    ("off", lambda row: offsets(row.named)),
    ("peer off", lambda row: offsets(row.peer)),
    ("err ms", lambda row: 1000 * row.named.onset_error_median_s),
    ("p95 ms", lambda row: 1000 * row.named.onset_error_p95_s),
    ("bias ms", lambda row: 1000 * row.named.onset_bias_s),
    ("vel r", lambda row: row.named.velocity_correlation),
)


def quality_table(rows: Sequence[Row]) -> str:
    """Onset F1 by material and source. `less`: ours less the peer's; `off`: F1 with the notes' ends."""
    lines = [f"{'onset F1 (50 ms)':22}" + "".join(f"{name:>9}" for name, _ in COLUMNS) + "  songs"]
    for material in MATERIALS:
        mine = [row for row in rows if row.material == material]
        lines += [
            _line(f"{material}, {source}", [row for row in mine if row.source == source])
            for source in dict.fromkeys(row.source for row in mine)
        ]
        if mine:
            lines.append(_line(f"{material}: all", mine))
    pitched = [row for row in rows if row.material in HEADED]
    if pitched:
        each = [[row for row in pitched if row.material == material] for material in HEADED]
        values = [mean(mean(value(row) for row in mine) for mine in each if mine) for _, value in COLUMNS]
        lines.append(f"{'mean of ' + str(len(HEADED)):22}" + "".join(map(_cell, values)))
    return "\n".join(lines)


def _line(name: str, rows: Sequence[Row]) -> str:
    cells = "".join(_cell(mean(value(row) for row in rows)) for _, value in COLUMNS)
    return f"{name:22}{cells}{len(rows):7}"


def _cell(value: float) -> str:
    return f"{'-':>9}" if math.isnan(value) else f"{value:9.3f}" if abs(value) < 2 else f"{value:9.1f}"


def drums_table(rows: Sequence[Row]) -> str:
    """F1 of each piece of the kit, drums alone, by source; a piece that is not played does not count."""
    drums = [row for row in rows if row.pieces]
    lines = [f"{'drums alone, F1':22}" + "".join(f"{piece:>9}" for piece in (*PIECES, "all", "err ms"))]
    for source in [*dict.fromkeys(row.source for row in drums), "all sources"]:
        mine = [row for row in drums if source in (row.source, "all sources")]
        cells = [piece_f1(mine, piece) for piece in (*PIECES, "all")]
        cells.append(mean(1000 * row.pieces["all"].onset_error_median_s for row in mine))
        lines.append(f"{source:22}" + "".join(map(_cell, cells)))
    return "\n".join(lines)


def piece_f1(rows: Sequence[Row], piece: str) -> float:
    return mean(row.pieces[piece].f1 for row in rows if row.pieces and row.pieces[piece].true)


def confusion_table(rows: Sequence[Row]) -> str:
    """What each material was taken for by `auto`, and what that costs in F1."""
    names = list(dict.fromkeys(ENGINE_MATERIAL.values()))
    lines = [f"{'taken for':14}" + "".join(f"{name:>8}" for name in names) + f"{'loss':>9}"]
    for material in MATERIALS:
        mine = [row for row in rows if row.material == material and row.taken_for]
        counts = [sum(row.taken_for == name for row in mine) for name in names]
        loss = mean(f1(row.named) - f1(row.auto) for row in mine)
        lines.append(f"{material:14}" + "".join(f"{count:8}" for count in counts) + _cell(loss))
    return "\n".join(lines)


LEAST_F1 = {"piano": 0.985, "epiano": 0.96, "guitar": 0.90, "bass": 0.97, "lead": 0.93, "mix": 0.66}
LEAST_DRUMS = {"kick": 0.97, "hat": 0.95, "snare": 0.80}


def targets(rows: Sequence[Row], *, decoding_s: float, rtf: float) -> list[Target]:
    """The targets of the benchmark's task, each with what these rows reach."""
    found = [
        Target(f"{material}: onset F1", least, at_most=False, reached=by_material(rows, material, _named))
        for material, least in LEAST_F1.items()
    ]
    piano_best = by_material(rows, "piano", lambda row: f1(row.best))
    found.append(Target("piano, best quality: onset F1", 0.99, at_most=False, reached=piano_best))
    for material in LEAST_F1:
        for name, gain in (("onset F1", gained), ("F1 with offsets", gained_with_offsets)):
            less = by_material(rows, material, gain)
            found.append(Target(f"{material}: {name} less the peer's", 0.0, at_most=False, reached=less))
    less = mean(by_material(rows, material, gained) for material in LEAST_F1)
    found.append(Target("mean onset F1 less the peer's", 0.10, at_most=False, reached=less))
    error = 1000 * mean(row.named.onset_error_median_s for row in rows if row.material in LEAST_F1)
    found.append(Target("onset error, median (ms)", 6.0, at_most=True, reached=error))
    found += [
        Target(f"drums alone, {piece}: F1", least, at_most=False, reached=piece_f1(rows, piece))
        for piece, least in LEAST_DRUMS.items()
    ]
    for material in MATERIALS:
        loss = by_material(rows, material, lambda row: f1(row.named) - f1(row.auto))
        found.append(Target(f"{material}: F1 lost by auto", 0.02, at_most=True, reached=loss))
    found.append(Target("decoding of ten minutes (s)", 0.5, at_most=True, reached=decoding_s))
    found.append(Target("whole conversion, RTF on one thread", 0.020, at_most=True, reached=rtf))
    return found


def _named(row: Row) -> float:
    return row.named.f1


def target_table(found: Sequence[Target]) -> str:
    lines = [f"{'target':38}{'wanted':>10}{'measured':>10}"]
    for target in found:
        sign = "<=" if target.at_most else ">="
        lines.append(
            f"{target.what:38}{sign:>3}{target.wanted:7.3f}{_cell(target.reached):>10}  {target.verdict}"
        )
    return "\n".join(lines)
