"""How right the notes are: our transcription beside Basic Pitch's own decoding of the same weights.

    python -m benchmarks.notes [--seeds 1000-1004] [--materials piano guitar] [--sources fluid timgm]
                               [--peer-venv DIR | --peer-venv none] [--best] [--no-auto] [--json FILE]

Songs are written from seeds and rendered (`benchmarks.songs`). What was rendered, and what the peer found, is
kept in --cache. Thresholds and weights are tuned on seeds 0 to 9 and on some of the sources only: report
seeds from 1000 up. Without `--peer-venv` the peer gets an environment of its own (it needs the network).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.songs import ENGINE_MATERIAL, MATERIALS, SOURCES, Song, song, song_file, sources_for
from benchmarks.songs import report as tables
from benchmarks.songs.ours import Transcriber, decoding_s, ten_minutes
from benchmarks.songs.peer import make_peer, peer_notes
from benchmarks.songs.rendering import default_cache
from benchmarks.songs.report import Row
from benchmarks.songs.scoring import Score, score, score_drums
from bridge.engine.models import ModelStore
from bridge.media.notes import Note

Item = tuple[Song, str, Path]  # a song, its source, its file


def songs(asked: argparse.Namespace) -> Iterator[Item]:
    for material in asked.materials:
        for source in sources_for(material, asked.cache):
            if source in asked.sources:
                for seed in asked.seeds:
                    written = song(material, seed)
                    yield written, source, song_file(written, source, cache=asked.cache)


def measure(items: Sequence[Item], ours: Transcriber, asked: argparse.Namespace) -> list[Row]:
    """A row for each song; ours first, in one go, then the peer's beside it."""
    theirs = _peer(items, asked)
    rows = []
    for written, source, path in items:
        rows.append(_row(written, source, path, ours, asked, theirs.get(path)))
        print(_short(rows[-1]), flush=True)
    return rows


def _row(
    written: Song,
    source: str,
    path: Path,
    ours: Transcriber,
    asked: argparse.Namespace,
    theirs: list[Note] | None,
) -> Row:
    named = ours(path, ENGINE_MATERIAL[written.material])
    auto = ours(path, "auto") if asked.auto else None
    best = ours(path, "piano", "best") if asked.best and written.material == "piano" else None
    pieces = score_drums(named.notes, written.drums) if written.material == "drums" else {}
    return Row(
        written.material,
        source,
        written.seed,
        written.duration_s,
        named=_score(written, named.notes, drums=named.material == "drums"),
        wall_s=named.wall_s,
        auto=_score(written, auto.notes, drums=auto.material == "drums") if auto else None,
        taken_for=auto.material if auto else "",
        why=auto.why if auto else "",
        best=_score(written, best.notes, drums=False) if best else None,
        peer=_score(written, theirs, drums=False) if theirs is not None and written.pitched else None,
        pieces=pieces,
    )


def _score(written: Song, found: Sequence[Note], *, drums: bool) -> Score:
    """Of drums alone their hits. Drums found in pitched music, or notes in drums, are wrong."""
    if written.pitched:
        return score([] if drums else found, written.pitched)
    return score_drums(found if drums else [], written.drums)["all"]


def _peer(items: Sequence[Item], asked: argparse.Namespace) -> Mapping[Path, list[Note]]:
    if asked.peer_venv == "none":
        return {}
    pitched = [path for written, _, path in items if written.pitched]
    with tempfile.TemporaryDirectory(prefix="bridge-peer-") as work:
        environment = Path(asked.peer_venv) if asked.peer_venv else make_peer(Path(work))
        return peer_notes(environment, pitched, cache=asked.cache)


def _short(row: Row) -> str:
    peer = f"peer {row.peer.f1:.3f}" if row.peer else ""
    auto = f"auto {row.auto.f1:.3f} ({row.taken_for})" if row.auto else ""
    best = f"best {row.best.f1:.3f}" if row.best else ""
    return f"{row.material:8}{row.source:12}{row.seed:6}  ours {row.named.f1:.3f}  {best}  {peer}  {auto}"


def speed(items: Sequence[Item], ours: Transcriber) -> tuple[dict[str, float], dict[str, float]]:
    """Decoding times of ten minutes, and by material the RTF of conversions with nothing kept."""
    first = {written.material: (written, path) for written, _, path in reversed(items)}
    decoding: dict[str, float] = {}
    for material, (_, path) in first.items():
        for name, took_s in decoding_s(ten_minutes([ours.posteriors(path)])).items():
            if name in ("recognise", ENGINE_MATERIAL[material]):
                decoding[name] = max(decoding.get(name, 0.0), took_s)
    fresh = Transcriber(ours.store, None, threads=1)
    rtf = {}
    for material, (written, path) in first.items():
        took_s = min(fresh(path, "auto").wall_s for _ in range(2))
        rtf[material] = took_s / written.duration_s
    return decoding, rtf


def print_report(rows: Sequence[Row], decoding: Mapping[str, float], rtf: Mapping[str, float]) -> None:
    print("\n" + tables.quality_table(rows))
    if any(row.pieces for row in rows):
        print("\n" + tables.drums_table(rows))
    if any(row.taken_for for row in rows):
        print("\n" + tables.confusion_table(rows))
    print("\nten minutes, decoding: " + ", ".join(f"{name} {took:.3f} s" for name, took in decoding.items()))
    print("whole conversions, material auto, one thread, RTF: ", end="")
    print(", ".join(f"{name} {share:.4f}" for name, share in rtf.items()))
    print("\n" + tables.target_table(_targets(rows, decoding, rtf)))


def _targets(
    rows: Sequence[Row], decoding: Mapping[str, float], rtf: Mapping[str, float]
) -> list[tables.Target]:
    slowest = max(decoding.values(), default=float("nan"))
    return tables.targets(rows, decoding_s=slowest, rtf=max(rtf.values(), default=float("nan")))


def seeds(text: str) -> list[int]:
    """`1000-1004` or `1,5,7`."""
    first, dash, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(word) for word in text.split(",")]


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=seeds, default=seeds("1000-1004"))
    parser.add_argument("--materials", nargs="+", choices=MATERIALS, default=list(MATERIALS))
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--peer-venv", help="an environment that has the basic-pitch package, or none")
    parser.add_argument("--models", type=Path, help="the folder of models; otherwise they are pulled")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="rendered songs are kept here")
    parser.add_argument("--best", action="store_true", help="the piano in best quality as well (slow)")
    parser.add_argument("--no-auto", dest="auto", action="store_false", help="materials by hand only")
    parser.add_argument("--no-speed", dest="speed", action="store_false", help="no times are taken")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args(words)


def main() -> None:
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="bridge-benchmark-") as work:
        store = ModelStore(asked.models or asked.cache / "models")
        for state in store.states():
            if not state.model.on_first_use:
                store.pull(state.model.name, report=print)
        ours = Transcriber(store, Path(work))
        items = list(songs(asked))
        rows = measure(items, ours, asked)
        if asked.json:
            _write(asked.json, rows, {}, {})
        decoding, rtf = speed(items, ours) if asked.speed else ({}, {})
    print_report(rows, decoding, rtf)
    if asked.json:
        _write(asked.json, rows, decoding, rtf)


def _write(path: Path, rows: Sequence[Row], decoding: Mapping[str, float], rtf: Mapping[str, float]) -> None:
    figures: dict[str, Any] = {"cpus": os.cpu_count(), "rows": [asdict(row) for row in rows]}
    figures |= {"decoding_s": dict(decoding), "rtf": dict(rtf)}
    found = _targets(rows, decoding, rtf)
    figures["targets"] = [{**asdict(target), "verdict": target.verdict} for target in found]
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
