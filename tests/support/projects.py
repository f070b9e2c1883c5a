"""Makers of project files as Live, Reaper and Ardour write them, as far as the bridge reads them."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

FAR_BEFORE = -63072000
SUPERCLOCK_HZ = 282_240_000
TICKS = 1920

Event = tuple[float, float] | tuple[float, float, str]
"""Beat, value, and more attributes (a curve)."""


def live_meter(numerator: int, denominator: int) -> int:
    return 99 * (denominator.bit_length() - 1) + numerator - 1


def _events(kind: str, events: Iterable[Event]) -> str:
    lines = (
        f'<{kind} Id="{n}" Time="{beat:g}" Value="{value!r}" {"".join(more)}/>'
        for n, (beat, value, *more) in enumerate(events)
    )
    return f"<Events>{''.join(lines)}</Events>"


def live_set(
    path: Path,
    *,
    creator: str = "Ableton Live 12.1",
    bpm: float | None = 120,
    tempi: Sequence[Event] = (),
    meters: Sequence[Event] = (),
    locators: Sequence[tuple[float, str]] = (),
    scale: str = "",
    more: str = "",
    main_track: str = "MainTrack",
) -> Path:
    """A set of Live 10 to 12."""
    envelopes = "".join(
        f'<AutomationEnvelope Id="{target}"><EnvelopeTarget><PointeeId Value="{target}" /></EnvelopeTarget>'
        f"<Automation>{_events(kind, [(FAR_BEFORE, events[0][1]), *events])}</Automation>"
        "</AutomationEnvelope>"
        for kind, target, events in (("EnumEvent", 10, meters), ("FloatEvent", 8, tempi))
        if events
    )
    manual = "" if bpm is None else f'<Manual Value="{bpm}" />'
    places = "".join(
        f'<Locator Id="{n}"><Time Value="{beat!r}" /><Name Value={quoteattr(name)} /></Locator>'
        for n, (beat, name) in enumerate(locators)
    )
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Ableton MajorVersion="5" Creator="{creator}"><LiveSet>'
        '<Tracks><AudioTrack><DeviceChain><Mixer><Tempo><Manual Value="33" /></Tempo></Mixer></DeviceChain>'
        f"</AudioTrack></Tracks><{main_track}><AutomationEnvelopes><Envelopes>{envelopes}</Envelopes>"
        f'</AutomationEnvelopes><DeviceChain><Mixer><Tempo>{manual}<AutomationTarget Id="8" /></Tempo>'
        '<TimeSignature><Manual Value="201" /><AutomationTarget Id="10" /></TimeSignature></Mixer>'
        "<DeviceChain><Devices><Delay><Tempo><Manual Value='44' /></Tempo></Delay></Devices></DeviceChain>"
        f"</DeviceChain></{main_track}>{scale}{more}<Locators><Locators>{places}</Locators></Locators>"
        "</LiveSet></Ableton>\n"
    )
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def live_scale(root: int, name: str, *, tag: str = "RootNote") -> str:
    return f'<ScaleInformation><{tag} Value="{root}" /><Name Value="{name}" /></ScaleInformation>'


def reaper_meter(numerator: int, denominator: int) -> int:
    return numerator + 65536 * denominator


def reaper_project(
    path: Path, *lines: str, points: Sequence[str] = (), tempo: str = "TEMPO 120 4 4", encoding: str = "utf-8"
) -> Path:
    """A project; `points` are the tempo envelope's lines, `lines` stand beside it."""
    envelope = ["<TEMPOENVEX", "  EGUID {0}", "  ACT 1 -1", *(f"  {point}" for point in points), ">"]
    text = "\n".join(
        [
            '<REAPER_PROJECT 0.1 "7.22/linux-x86_64" 1723456789',
            *(f"  {line}" for line in ["RIPPLE 0", tempo, *envelope, *lines]),
            "  <TRACK {1}",
            "    NAME lead",
            "    <FXCHAIN",
            "      <VST",
            "        PT 0 66 1",
            "      >",
            "    >",
            "    <ITEM",
            "      POSITION 4",
            "      LENGTH 6.5",
            "    >",
            "  >",
            ">",
            "",
        ]
    )
    path.write_bytes(text.encode(encoding))
    return path


def ardour_session(
    path: Path,
    *,
    tempi: Sequence[tuple[int, float, float]] = ((0, 120, 120),),
    meters: Sequence[tuple[int, int, int]] = ((0, 4, 4),),
    locations: Sequence[tuple[str, str, str, str]] = (),
    rate_hz: int = 48_000,
) -> Path:
    """A session of Ardour 7; a tempo is (beat, bpm, bpm that it becomes until the next one)."""
    lines, seconds = [], 0.0
    for index, (beat, low, high) in enumerate(tempi):
        if index:
            before, from_bpm, to_bpm = tempi[index - 1]
            ratio = to_bpm / from_bpm
            mean = (to_bpm - from_bpm) / math.log(ratio) if ratio != 1 else from_bpm
            seconds += (beat - before) * 60 / mean
        length = tempi[index + 1][0] - beat if index + 1 < len(tempi) else 0
        omega = (high - low) / (60 * SUPERCLOCK_HZ * length) if length else 0
        kind = "Constant" if low == high else "Ramped"
        lines.append(
            f'<Tempo npm="{low}" enpm="{high}" note-type="4" type="Tempo::{kind}" active="1" '
            f'sclock="{round(seconds * SUPERCLOCK_HZ)}" quarters="{beat}:0" omega="{omega!r}"/>'
        )
    bars = "".join(
        f'<Meter note-value="{lower}" divisions-per-bar="{upper}" quarters="{beat}:0"/>'
        for beat, upper, lower in meters
    )
    places = "".join(
        f'<Location id="{n}" name={quoteattr(name)} start="{start}" end="{end}" flags="{flags}"/>'
        for n, (name, start, end, flags) in enumerate(locations)
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Session version="7002" name="song" sample-rate="{rate_hz}">'
        '<ProgramVersion created-with="Ardour 7.2.0" modified-with="Ardour 7.3.0~ds0-1"/>'
        f'<Routes><Route><Tempo npm="1"/></Route></Routes><Locations>{places}</Locations>'
        f'<TempoMap superclocks-per-second="{SUPERCLOCK_HZ}"><Tempos>{"".join(lines)}</Tempos>'
        f"<Meters>{bars}</Meters></TempoMap></Session>\n",
        encoding="utf-8",
    )
    return path
