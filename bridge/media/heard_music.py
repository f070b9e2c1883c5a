"""What the analysis of a bounce (`key_bpm.json`) tells of its music. Pure; only what it is sure of.

The analysis hears where beats and bars lie in the audio, not where the bounce lies in the project: so nothing
is told of its place, and changes are told only as far as they hold without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from bridge.media.musical_context import Told, exact_bpm, meter_map
from bridge.media.musical_time import Key, KeyPoint, MeterMap, TempoMap, TempoPoint

SOURCE = "what was heard"
SURE_TEMPO, SURE_METER, SURE_KEY = 0.5, 0.75, 0.6
SAME_START_S = 0.5


def told_of(analysis: Mapping[str, Any]) -> Told:
    """Tempo, meter and keys that are sure enough; `Told` of nothing for an analysis that is not.

    What is missing or of another kind (as in MusicGPT's own answers, which give no confidence) counts as not
    known; nothing is raised for it.
    """
    tempo = _tempo(analysis)
    return Told(
        SOURCE,
        tempo=tempo,
        meters=_meters(analysis) if tempo else None,
        keys=tuple(_keys(analysis, tempo)) if _is_sure(analysis, "key_confidence", SURE_KEY) else (),
    )


def _number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_one else None


def _is_sure(analysis: Mapping[str, Any], name: str, least: float) -> bool:
    confidence = _number(analysis.get(name))
    return confidence is not None and confidence >= least


def _tempo(analysis: Mapping[str, Any]) -> TempoMap | None:
    """One tempo; or a step at each change, counted in the beats before it."""
    bpm = _number(analysis.get("bpm"))
    if bpm is None or not 1 <= bpm <= 1000 or not _is_sure(analysis, "bpm_confidence", SURE_TEMPO):
        return None
    changes = list(_dated(analysis.get("tempo_changes"), "bpm"))
    steps = [(at_s, tempo) for at_s, value in changes if (tempo := _number(value)) and 1 <= tempo <= 1000]
    if len(steps) < 2:
        return TempoMap.constant(exact_bpm(bpm))
    points = [TempoPoint(Fraction(0), exact_bpm(steps[0][1]))]
    last_s = 0.0
    for at_s, tempo in steps[1:]:
        if at_s <= last_s:
            return TempoMap.constant(exact_bpm(bpm))
        lasted = Fraction(at_s - last_s).limit_denominator(1000) * points[-1].bpm / 60
        points.append(TempoPoint(points[-1].beat + Fraction(round(lasted)), exact_bpm(tempo)))
        last_s = at_s
    beats = [point.beat for point in points]
    return TempoMap(tuple(points)) if len(set(beats)) == len(beats) else TempoMap.constant(exact_bpm(bpm))


def _meters(analysis: Mapping[str, Any]) -> MeterMap | None:
    text = analysis.get("meter")
    if not isinstance(text, str) or not _is_sure(analysis, "meter_confidence", SURE_METER):
        return None
    try:
        return meter_map(text)
    except ValueError:
        return None


def _keys(analysis: Mapping[str, Any], tempo: TempoMap | None) -> Iterator[KeyPoint]:
    """Each key from its beat on; the first from the beginning. Without a tempo, only the main one."""
    found = list(_dated(analysis.get("keys"), "key"))
    if tempo is None or len(found) < 2:
        found = [(0.0, analysis.get("key"))]
    for number, (at_s, name) in enumerate(found):
        try:
            key = Key.named(str(name))
        except ValueError:
            continue
        beat = tempo.beat_at(Fraction(at_s)) if tempo and number else Fraction(0)
        yield KeyPoint(Fraction(round(beat)), key)


def _dated(rows: Any, name: str) -> Iterator[tuple[float, Any]]:
    """`start_s` and the value called `name` of each row that has both."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and (at_s := _number(row.get("start_s"))) is not None and name in row:
            yield at_s, row[name]
