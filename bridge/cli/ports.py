"""`bridge ports` and `bridge latency`: what MIDI ports there are, what comes in, how long a loop takes.

Both start a short-lived MIDI process of their own, which makes no ports. So they work the same with and
without a daemon. Only on Windows may a port be open just once; what the daemon holds there is said.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from bridge import config
from bridge.cli import output
from bridge.errors import NoMidi
from bridge.home import home
from bridge.midi import messages
from bridge.midi.messages import INTERNAL, ClockTold, Configure, Heard, Measured, Ports, Told, Trouble
from bridge.midi.port_names import API_WORDS, is_ours, matching
from bridge.midi.words import words

if TYPE_CHECKING:
    from bridge.config_controls import MidiSettings

FIRST_WORD_S = 10.0
LOOK_S = 0.1
A_PROBE_S = 0.3


class Looking(Protocol):
    """A MIDI process that only looks."""

    def tell(self, command: messages.Command) -> None: ...
    def next(self, timeout_s: float) -> Told | None:
        """What it tells next; None when it says nothing for so long."""
        ...


@contextmanager
def looking(settings: Configure) -> Iterator[Looking]:
    """Makes no ports, and plays to none."""
    from bridge.midi.looking import looking as process_that_looks

    only = replace(settings, port="", outputs=(), clock_to=(), through=False, pads=())
    with process_that_looks(only) as process:
        yield process


Look = Callable[[Configure], Any]
"""Gives a context manager around a `Looking`."""


def ports(*, watch: bool, as_json: bool, look: Look = looking) -> int:
    """Lists the ports; with `watch` shows what comes in, until Ctrl-C. Raises NoMidi, ConfigError."""
    settings = config.load(home()).midi
    with look(settings.configure((), None)) as process:
        found = _first(process)
        if not watch:
            _list(found, settings, as_json=as_json)
            return 0
        process.tell(messages.Watch(on=True))
        if not as_json:
            names = ", ".join(found.listening) or "nothing: no input is there, or midi.inputs names none"
            output.note(f"Listening to {names}. Ctrl-C stops.")
        with contextlib.suppress(KeyboardInterrupt):
            _watch(process, as_json=as_json)
    return 0


def _first(process: Looking) -> Ports:
    until = time.monotonic() + FIRST_WORD_S
    while time.monotonic() < until:
        told = process.next(LOOK_S)
        if isinstance(told, Ports):
            if not told.api:
                raise NoMidi(told.why, remedy=told.remedy)
            return told
        if isinstance(told, Trouble):
            _tell_trouble(told)
    raise NoMidi("the MIDI process says nothing.", remedy="logs/midi.log may say more.")


def _tell_trouble(trouble: Trouble) -> None:
    output.note(" ".join(filter(None, (trouble.words, trouble.remedy))))


# The list


def _list(found: Ports, settings: MidiSettings, *, as_json: bool) -> None:
    rows = [
        *_rows("input", found.inputs, settings.inputs, settings.port, "listened to"),
        *_rows("output", found.outputs, settings.outputs, settings.port, "played to"),
    ]
    if as_json:
        named = [dict(zip(("direction", "name", "use"), row, strict=True)) for row in rows]
        output.say_json({"system": found.api, "ports": named})
        return
    output.note(f"MIDI by {API_WORDS.get(found.api, found.api)}.")
    if rows:
        output.table(("", "port", "by the settings"), rows)
    else:
        output.say("There are no ports of others. Plug a controller in, or start your DAW.")


def _rows(
    direction: str, names: Sequence[str], patterns: Sequence[str], own: str, used: str
) -> Iterator[tuple[str, str, str]]:
    meant = set(matching(names, patterns))
    for name in names:
        use = "our own" if is_ours(name, own) else used if name in meant else ""
        yield direction, name, use


# What comes in


def _watch(process: Looking, *, as_json: bool) -> None:
    """Until Ctrl-C."""
    while True:
        told = process.next(LOOK_S)
        if told is None:
            continue
        if as_json:
            _say_line(told)
        elif (line := described(told)) is not None:
            output.say(line)


def described(told: Told) -> str | None:
    """A line for what was told; None where there is nothing to show."""
    match told:
        case Heard(port, data):
            return f"{port}: {words(data)}"
        case ClockTold(source, running, bpm) if source != INTERNAL:
            return f"{source}: clock {'runs' if running else 'stands'} at {bpm:.1f} BPM"
        case Ports(api, why) if not api:
            return why
        case Ports():
            return f"Listening to {', '.join(told.listening) or 'nothing'}."
        case Trouble(trouble, remedy):
            return f"{trouble} {remedy}".strip()
    return None


def _say_line(told: Told) -> None:
    if isinstance(told, Heard):
        plain = {"port": told.port, "data": list(told.data), "words": words(told.data)}
        output.say(json.dumps(plain, ensure_ascii=True))


# A loop


@dataclass(frozen=True)
class Loop:
    """Milliseconds there and back; `jitter_ms` is what nine of ten differ by."""

    median_ms: float
    p95_ms: float
    jitter_ms: float
    lost: int

    @classmethod
    def of(cls, measured: Measured) -> Loop:
        times = sorted(measured.times_ms)
        p5, median, p95 = (times[round(part * (len(times) - 1))] for part in (0.05, 0.5, 0.95))
        return cls(median, p95, p95 - p5, measured.lost)

    @property
    def offset_ms(self) -> float:
        """What to set for the port: of a loop, the way out is about the half."""
        return round(self.median_ms / 2, 1)


def latency(port: str, back: str = "", *, count: int, as_json: bool, look: Look = looking) -> int:
    """Measures the loop from output `port` into input `back` (empty: the same name). Raises NoMidi."""
    settings = config.load(home()).midi
    with look(replace(settings.configure((), None), inputs=())) as process:
        _first(process)
        process.tell(messages.Measure(port, back or port, count))
        measured = _measured(process, count)
    if not measured.times_ms:
        raise NoMidi(
            f"{measured.why}.",
            remedy="Lead the output back to an input, by a cable or in your DAW; `bridge ports` lists both.",
        )
    loop = Loop.of(measured)
    if as_json:
        plain = {"median_ms": loop.median_ms, "p95_ms": loop.p95_ms, "jitter_ms": loop.jitter_ms}
        output.say_json({"output": measured.output, "input": measured.input, **plain, "lost": loop.lost})
        return 0
    output.say(f"{measured.output} → {measured.input}, {len(measured.times_ms)} times there and back:")
    within, jitter = f"95 % within {loop.p95_ms:.1f} ms", f"jitter {loop.jitter_ms:.1f} ms"
    output.say(f"median {loop.median_ms:.1f} ms, {within}, {jitter}")
    if loop.lost:
        output.say(f"{loop.lost} did not come back.")
    output.note("To make up for the way out, about half of it, write this into config.toml:")
    output.note(f"[midi.latency_ms]\n{json.dumps(measured.output, ensure_ascii=False)} = {loop.offset_ms}")
    return 0


def _measured(process: Looking, count: int) -> Measured:
    until = time.monotonic() + FIRST_WORD_S + count * A_PROBE_S
    while time.monotonic() < until:
        told = process.next(LOOK_S)
        if isinstance(told, Measured):
            return told
        if isinstance(told, Trouble):
            _tell_trouble(told)
    raise NoMidi("the MIDI process says nothing.", remedy="logs/midi.log may say more.")
