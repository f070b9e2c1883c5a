"""What the daemon and the MIDI process say to each other: typed, small, one JSON line each. Pure.

Times are seconds of the MIDI process's own clock (`at_s`); nobody else reads them, they are only handed back.
Beats are quarter notes. A wall time is seconds since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

AGAIN_EXIT = 75
"""How the MIDI process ends where its MIDI server has: what is left of that can only be left behind."""

INTERNAL, LINK = "internal", "link"
"""Sources of a clock that are no ports: our own, and Ableton Link."""

Quantum = Literal["now", "beat", "bar"]
Follow = Literal["launch", "song"]
PlayState = Literal["armed", "waiting", "playing", "paused", "ended", "stopped", "failed"]
LightState = Literal["off", "ready", "queued", "running", "done", "failed", "needs_you", "playing", "armed"]
Press = Literal["press", "short", "long", "double"]
Errand = Literal["start", "stop", "continue"]


# From the daemon to the MIDI process


@dataclass(frozen=True)
class PadSpec:
    """What the MIDI process must know of a mapping: when it fires. `channel` 0: any, else 1 to 16."""

    message: str
    press: Press = "press"
    port: str = "*"
    channel: int = 0
    pass_on: bool = False


@dataclass(frozen=True)
class Configure:
    """Everything that comes from the settings. Said first, and again whenever it changes."""

    port: str = "DAW Bridge"
    backend: str = "auto"
    inputs: tuple[str, ...] = ("*",)
    outputs: tuple[str, ...] = ()
    through: bool = False
    clock: str = "auto"
    clock_to: tuple[str, ...] = ()
    meter: str = "4/4"
    tempo_bpm: float = 120.0
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    controller: str = "auto"
    frame_exact: bool = False
    pads: tuple[PadSpec, ...] = ()


@dataclass(frozen=True)
class Play:
    """Plays the Standard MIDI File at `path`.

    It begins at the next multiple of `count` beats or bars (`when`), or at once; with `armed` it is only made
    ready, and `Begin` starts it. `loop`: over and over, its length rounded up to whole bars. `channels` maps
    a track's name or number (from 1), or "*", to a channel 1 to 16. `port` is a name pattern; empty: our own
    virtual port. `follow`: "launch" counts from where it was started, "song" is fixed to the song's bar 1.
    """

    id: str
    path: str
    when: Quantum = "bar"
    count: int = 1
    armed: bool = False
    loop: bool = False
    transpose: int = 0
    channels: Mapping[str, int] = field(default_factory=dict)
    port: str = ""
    follow: Follow = "launch"


@dataclass(frozen=True)
class Begin:
    """Starts what was armed. Said of what plays already, it starts again from its beginning."""

    id: str
    when: Quantum = "bar"
    count: int = 1


@dataclass(frozen=True)
class Halt:
    """Ends playings: those whose id is `id` or begins with `id` and a slash; empty: all."""

    id: str = ""


@dataclass(frozen=True)
class Loop:
    """Whether playings go on over and over (`id` as in `Halt`); None: the other way round."""

    id: str = ""
    on: bool | None = None


@dataclass(frozen=True)
class Panic:
    """Ends everything and silences every channel of every output port."""


@dataclass(frozen=True)
class Tap:
    """One tap of a tempo, at the time that `Pressed` told; None: now."""

    at_s: float | None = None


@dataclass(frozen=True)
class Tempo:
    bpm: float


@dataclass(frozen=True)
class Transport:
    """Starts, stops or goes on with our own clock; `beat` first moves it there."""

    errand: Errand
    beat: float | None = None


@dataclass(frozen=True)
class Light:
    """What the pad of mapping number `pad` shows from now on."""

    pad: int
    state: LightState


@dataclass(frozen=True)
class Watch:
    """Whether every message that comes in is told (`Heard`)."""

    on: bool


@dataclass(frozen=True)
class Measure:
    """Measures the way out of `output` and back into `input` (name patterns), `count` times."""

    output: str
    input: str
    count: int = 200


@dataclass(frozen=True)
class Ping:
    number: int


# From the MIDI process to the daemon


@dataclass(frozen=True)
class Ports:
    """What there is. Told when it changes. `api` is empty where there is no MIDI system, `why` says why.

    `inputs` and `outputs` are all ports by name, `listening` and `playing_to` those that we have open.
    """

    api: str
    why: str = ""
    remedy: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    listening: tuple[str, ...] = ()
    playing_to: tuple[str, ...] = ()
    virtual: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pressed:
    """Mapping number `pad` fired; `value` is the velocity or the controller's value, or a relative step."""

    pad: int
    value: int
    at_s: float


@dataclass(frozen=True)
class Heard:
    """One message as it came in, for `bridge ports --watch` and `bridge learn`; `data` are its bytes."""

    port: str
    data: tuple[int, ...]
    at_s: float


@dataclass(frozen=True)
class ClockTold:
    """The clock at a moment: told when it starts, stops, jumps or changes its tempo, and once a bar."""

    source: str
    running: bool
    bpm: float
    beat: float
    meter: str
    wall: float


@dataclass(frozen=True)
class PlayTold:
    id: str
    state: PlayState
    why: str = ""


@dataclass(frozen=True)
class Measured:
    """Times there and back in milliseconds, in the order they were measured; `lost` probes never came."""

    output: str
    input: str
    times_ms: tuple[float, ...] = ()
    lost: int = 0
    why: str = ""


@dataclass(frozen=True)
class Trouble:
    """Something that the musician should know."""

    words: str
    remedy: str = ""


@dataclass(frozen=True)
class Pong:
    number: int


# Both ways


@dataclass(frozen=True)
class Joined:
    """What is connected to our own ports: `sources[i]` goes into `sinks[i]`, full names.

    Told by the MIDI process when it changes; said to the next one, which connects them again.
    """

    sources: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()


Command = (
    Configure
    | Play
    | Begin
    | Halt
    | Loop
    | Panic
    | Tap
    | Tempo
    | Transport
    | Light
    | Watch
    | Measure
    | Ping
    | Joined
)
Told = Ports | Pressed | Heard | ClockTold | PlayTold | Measured | Trouble | Pong | Joined
Message = Command | Told

_KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Configure, Play, Begin, Halt, Loop, Panic, Tap, Tempo, Transport, Light, Watch, Measure, Ping),
        *(Ports, Pressed, Heard, ClockTold, PlayTold, Measured, Trouble, Pong, Joined),
    )
}


def packed(message: Message) -> bytes:
    """One line, with its end."""
    kind = type(message).__name__
    plain = {one.name: _plain(getattr(message, one.name)) for one in fields(message)}
    return json.dumps({"kind": kind, **plain}, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, PadSpec):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return dict(value) if isinstance(value, Mapping) else value


def unpacked(line: bytes) -> Message:
    """What `packed` made. Raises ValueError for anything else."""
    try:
        data = json.loads(line)
        kind = _KINDS[data.pop("kind")]
        if kind is Configure:
            data["pads"] = tuple(PadSpec(**pad) for pad in data.get("pads", ()))
        message: Message = kind(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
        )
    except (ValueError, TypeError, LookupError, AttributeError) as fault:
        raise ValueError(f"this is no message: {line[:200]!r} ({fault!r})") from fault
    return message
