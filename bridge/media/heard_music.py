"""What the analysis of a bounce (`key_bpm.json`) tells of its music. Pure; only what it is sure of.

The analysis hears where beats and bars lie in the audio, not where the bounce lies in the project: so nothing
is told of its place, and changes are counted from where the audio begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from bridge.media.musical_context import HEARD, Told, exact_bpm, meter_map
from bridge.media.musical_time import Key, KeyPoint, MeterMap, TempoMap, TempoPoint

SURE_TEMPO, SURE_METER, SURE_KEY = 0.5, 0.75, 0.6
LOWEST_BPM, HIGHEST_BPM = 20.0, 400.0
AS_GOOD_AS = 0.0005
"""Where the beats tell a whole tempo to about so much, it is meant: songs are made to a click."""


def told_of(analysis: Mapping[str, Any]) -> Told:
    """Tempo, meter and keys that are sure enough; `Told` of nothing for an analysis that is not.

    What is missing or of another kind (MusicGPT's own answers give no confidence) counts as not known;
    nothing is raised for it.
    """
    tempo = _tempo(analysis)
    keys = _keys(analysis, tempo) if _is_sure(analysis, "key_confidence", SURE_KEY) else ()
    return Told(HEARD, tempo=tempo, meters=_meters(analysis) if tempo else None, keys=tuple(keys))


def _number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_one else None


def _bpm(value: Any) -> float | None:
    bpm = _number(value)
    if bpm is None or not LOWEST_BPM <= bpm <= HIGHEST_BPM:
        return None
    whole = float(round(bpm))
    return whole if abs(bpm - whole) <= AS_GOOD_AS * bpm else bpm


def _is_sure(analysis: Mapping[str, Any], name: str, least: float) -> bool:
    confidence = _number(analysis.get(name))
    return confidence is not None and confidence >= least


def _tempo(analysis: Mapping[str, Any]) -> TempoMap | None:
    """One tempo; or a step at each change, after as many whole beats as came before it."""
    bpm = _bpm(analysis.get("bpm"))
    if bpm is None or not _is_sure(analysis, "bpm_confidence", SURE_TEMPO):
        return None
    dated = _dated(analysis, "tempo_changes", "bpm")
    steps = [(at_s, tempo) for at_s, value in dated if (tempo := _bpm(value))] or [(0.0, bpm)]
    points = [TempoPoint(Fraction(0), exact_bpm(steps[0][1]))]
    began_s = 0.0  # the first tempo holds from the beginning, wherever its first beat is
    for (_, before), (at_s, after) in pairwise(steps):
        beats = round((at_s - began_s) * before / 60)
        if beats < 1:
            return TempoMap.constant(exact_bpm(bpm))
        points.append(TempoPoint(points[-1].beat + beats, exact_bpm(after)))
        began_s += beats * 60 / before  # not where it was heard: what is rounded does not add up
    return TempoMap(tuple(points))


def _meters(analysis: Mapping[str, Any]) -> MeterMap | None:
    text = analysis.get("meter")
    if not isinstance(text, str) or not _is_sure(analysis, "meter_confidence", SURE_METER):
        return None
    try:
        return meter_map(text)
    except ValueError:
        return None


def _keys(analysis: Mapping[str, Any], tempo: TempoMap | None) -> Iterator[KeyPoint]:
    """Each key from its beat on, the first from the beginning. Without a tempo only the main one."""
    changes = list(_dated(analysis, "keys", "key")) if tempo else []
    for number, (at_s, name) in enumerate(changes or [(0.0, analysis.get("key"))]):
        beat = round(tempo.beat_at(Fraction(at_s))) if tempo and number else 0
        try:
            yield KeyPoint(Fraction(beat), Key.named(str(name)))
        except ValueError:
            continue


def _dated(analysis: Mapping[str, Any], rows: str, name: str) -> Iterator[tuple[float, Any]]:
    """`start_s` and the value called `name` of each row that has both."""
    found = analysis.get(rows)
    for row in found if isinstance(found, list) else ():
        if isinstance(row, Mapping) and (at_s := _number(row.get("start_s"))) is not None and name in row:
            yield at_s, row[name]
