"""Test songs whose notes are known: written by rule from a seed, rendered by several instruments, and scored.

Thresholds and weights are tuned on seeds 0 to 9 and on `TUNING_SOURCES` only; results are reported on seeds
from 1000 up and on all sources.
"""

from benchmarks.songs.band import ENGINE_MATERIAL, MATERIALS, song
from benchmarks.songs.model import Part, Sheet, Song
from benchmarks.songs.rendering import SOURCES, TUNING_SOURCES, render, song_file, sources_for
from benchmarks.songs.scoring import Score, score, score_drums

__all__ = [
    "ENGINE_MATERIAL",
    "MATERIALS",
    "SOURCES",
    "TUNING_SOURCES",
    "Part",
    "Score",
    "Sheet",
    "Song",
    "render",
    "score",
    "score_drums",
    "song",
    "song_file",
    "sources_for",
]
