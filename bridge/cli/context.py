"""`show FILE`: the musical context of a bounce, each value with its source."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from bridge import config
from bridge.cli import output
from bridge.errors import WrongUse
from bridge.home import home
from bridge.media import clues
from bridge.media.musical_context import UNKNOWN, MusicalContext, Told, bpm_words
from bridge.media.musical_time import Timeline

MOST_TEMPI = 20


def show_file(path: Path, *, preset: str | None, as_json: bool) -> int:
    """Prints what is known about the music of an audio file."""
    from bridge.media.audio_files import length_of  # it is heavy, and only this command reads audio here

    if not path.is_file():
        raise WrongUse(f"there is no job and no file '{path}'.", remedy="`bridge history` lists the jobs.")
    path = path.absolute()
    settings = config.load(home())
    rate_hz, frames = length_of(path)
    told = clues.gather(
        path, config.project_folder_of(settings, path), rate_hz=rate_hz, duration_s=frames / rate_hz
    )
    of_preset = Told("preset") if preset is None else _preset_told(preset)
    rows = [one.to_json() for one in told]
    context = clues.context_from(rows, path, preset=of_preset, settings_bpm=settings.tempo_bpm)
    if as_json:
        facts = {"file": str(path), "rate_hz": rate_hz, "frames": frames, "duration_s": frames / rate_hz}
        output.say_json({**facts, "context": context.to_json()})
        return 0
    output.say(f"Bounce {path}")
    output.say(f"  {frames / rate_hz:.3f} s, {rate_hz} Hz, {frames} frames")
    for line in context_lines(context):
        output.say(line)
    return 0


def _preset_told(name: str) -> Told:
    from bridge.presets import PresetShelf

    return PresetShelf(home() / "presets").get(name).told()


def context_lines(context: MusicalContext) -> Iterator[str]:
    """The context as lines for the musician."""
    facts, timeline = context.to_json(), context.timeline
    tempo = bpm_words(context.tempo_bpm) + (" where the bounce begins" if context.tempo_changes else "")
    yield _line("Tempo", tempo, context.tempo_source)
    if context.tempo_changes:
        yield from _tempo_lines(timeline)
    yield _line("Meter", _meter_words(facts, timeline), context.meter_source)
    yield _line("Key", facts["key"] or "not known", context.key_source)
    yield _line("Begins", _position_words(facts), context.position_source)
    if timeline.markers:
        names = ", ".join(marker.name for marker in timeline.markers)
        yield _line("Markers", names, context.markers_source)
    yield from (f"  Note: {remark}" for remark in context.remarks)


def _line(name: str, value: str, source: str) -> str:
    return f"  {name:8} {value}" if source == UNKNOWN else f"  {name:8} {value}  ({source})"


def _tempo_lines(timeline: Timeline) -> Iterator[str]:
    points = timeline.tempo.points
    for point in points[:MOST_TEMPI]:
        bar, in_bar = timeline.meters.bar_beat_at(point.beat)
        goes_on = "" if point.curve == "step" else ", then a ramp"
        yield f"    bar {bar}{_beat_words(in_bar)}: {bpm_words(point.bpm)}{goes_on}"
    if len(points) > MOST_TEMPI:
        yield f"    and {len(points) - MOST_TEMPI} more"


def _beat_words(in_bar: Fraction) -> str:
    return f", {float(in_bar):g} quarter notes in" if in_bar else ""


def _meter_words(facts: dict[str, Any], timeline: Timeline) -> str:
    changes = len(timeline.meters.points) - 1
    return str(facts["meter"]) + (f", {changes} changes in the song" if changes else "")


def _position_words(facts: dict[str, Any]) -> str:
    if facts["position_s"] is None:
        return "not known"
    beat = _beat_words(Fraction(facts["position_beat_in_bar"]).limit_denominator(960))
    return f"at bar {facts['position_bar']}{beat}, {facts['position_s']:.3f} s into the project"
