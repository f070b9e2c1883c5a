"""MIDI messages in a musician's words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

_NOTES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MIDDLE_C_OCTAVE = 3
"""Middle C (60) is C3, as Live, Reaper and Logic write it."""

_CONTROLLERS: Mapping[int, str] = {
    1: "modulation",
    7: "volume",
    10: "pan",
    11: "expression",
    64: "sustain",
    120: "all sound off",
    121: "reset controllers",
    123: "all notes off",
}

_CHANNEL: Mapping[int, Callable[[int, int], str]] = {
    0x80: lambda note, _: f"note off {note} ({note_name(note)})",
    0x90: lambda note, velocity: (
        f"note {note} ({note_name(note)}) on, velocity {velocity}"
        if velocity
        else f"note off {note} ({note_name(note)})"
    ),
    0xA0: lambda note, value: f"pressure {value} on note {note} ({note_name(note)})",
    0xB0: lambda number, value: f"cc {number}{_named(number)}, value {value}",
    0xC0: lambda number, _: f"program {number}",
    0xD0: lambda value, _: f"pressure {value}",
    0xE0: lambda low, high: f"pitch bend {(high << 7 | low) - 8192:+d}",
}
_SYSTEM: Mapping[int, str] = {
    0xF1: "time code",
    0xF3: "song select",
    0xF6: "tune request",
    0xF8: "clock",
    0xFA: "start",
    0xFB: "continue",
    0xFC: "stop",
    0xFE: "active sensing",
    0xFF: "reset",
}
_MMC: Mapping[int, str] = {
    1: "stop",
    2: "play",
    3: "deferred play",
    4: "fast forward",
    5: "rewind",
    6: "record strobe",
    7: "record exit",
    8: "record pause",
    9: "pause",
}
SYSEX, _SONG_POSITION = 0xF0, 0xF2
SYSEX_SHOWN = 24


def note_name(note: int) -> str:
    return f"{_NOTES[note % 12]}{note // 12 + MIDDLE_C_OCTAVE - 5}"


def words(data: Sequence[int]) -> str:
    """What one message says: `note 36 (C1) on, velocity 100, channel 10`."""
    if not data:
        return "nothing"
    status, values = data[0], (*data[1:3], 0, 0)
    if status == SYSEX:
        return _sysex(data)
    if status == _SONG_POSITION:
        return f"song position {values[0] | values[1] << 7}"
    if status in _SYSTEM:
        return _SYSTEM[status]
    say = _CHANNEL.get(status & 0xF0)
    if say is None or len(data) == 1:
        return f"unknown message {_hex(data)}"
    return f"{say(values[0], values[1])}, channel {(status & 0x0F) + 1}"


def _named(number: int) -> str:
    return f" ({_CONTROLLERS[number]})" if number in _CONTROLLERS else ""


def _sysex(data: Sequence[int]) -> str:
    match list(data):
        case [0xF0, 0x7F, _, 0x06, command, 0xF7]:
            return f"MMC {_MMC.get(command, f'command {command}')}"
    if len(data) > SYSEX_SHOWN:
        return f"sysex {_hex(data[:SYSEX_SHOWN])} … ({len(data)} bytes)"
    return f"sysex {_hex(data)}"


def _hex(data: Sequence[int]) -> str:
    return " ".join(f"{byte:02X}" for byte in data)
