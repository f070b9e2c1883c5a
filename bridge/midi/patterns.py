"""Which MIDI messages a mapping means: "note 36", "cc 20 >= 100", "mmc play". Pure.

note 36                 a pad or key, by its number
cc 20                   a button, pedal or knob: pressed from 64 on, released below
cc 20 >= 100            the same with another threshold
cc 20 relative          an endless knob, each step: 1, 2 … up, 127, 126 … down (two's complement)
cc 20 relative offset   the same where 65, 66 … is up and 63, 62 … is down
cc 20 relative sign     the same where 1, 2 … is up and 65, 66 … is down
cc 20 relative up       only one way (also behind offset and sign): up or down
program 5               a program change, counted from 0; "program" alone: any
mmc record_strobe       a machine control command, to any device
sysex F0 7D ?? F7       a system exclusive message; ?? is any byte
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.midi.status import AFTERTOUCH, CONTROL, NOTE_OFF, NOTE_ON, PROGRAM

SYSEX, SYSEX_END = 0xF0, 0xF7
GREATEST = 127
MIDDLE = 64
ANY = -1

Kind = Literal["note", "cc", "relative", "program", "mmc", "sysex"]
Key = tuple[str, int]
"""What tells controls apart at first sight: ("note", 36), ("cc", 20), ("program", 5), ("sysex", -1)."""

MMC_COMMANDS: Mapping[str, int] = {
    "stop": 0x01,
    "play": 0x02,
    "deferred_play": 0x03,
    "fast_forward": 0x04,
    "rewind": 0x05,
    "record_strobe": 0x06,
    "record_exit": 0x07,
    "record_pause": 0x08,
    "pause": 0x09,
    "eject": 0x0A,
    "chase": 0x0B,
    "reset": 0x0D,
    "locate": 0x44,
}
_MMC_NAMES = {code: name for name, code in MMC_COMMANDS.items()}
_MMC_HEADER = 4  # F0 7F device 06
_MMC_WITH_COUNT = range(0x40, 0x78)


def _two_s_complement(value: int) -> int:
    return value if value < MIDDLE else value - 128


def _offset(value: int) -> int:
    return value - MIDDLE


def _sign(value: int) -> int:
    return value if value < MIDDLE else MIDDLE - value


ENCODINGS: Mapping[str, Callable[[int], int]] = {"": _two_s_complement, "offset": _offset, "sign": _sign}
"""How endless knobs tell their steps: name → from the controller's value to steps, up is positive."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message says of its control: whether it is down now (None: it has no such state), and how much.

    `fires` is False for what belongs to the control and means nothing: a turn the other way, aftertouch.
    """

    down: bool | None
    value: int
    fires: bool = True


_NOTHING = Reading(None, 0, fires=False)


@dataclass(frozen=True)
class Pattern:
    kind: Kind
    number: int = ANY
    threshold: int = MIDDLE
    encoding: str = ""
    way: Literal["", "up", "down"] = ""
    sysex: tuple[int, ...] = ()
    """The bytes from F0 to F7; `ANY` where any will do."""

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises ValueError in plain words."""
        for form, make in _FORMS:
            if found := form.fullmatch(" ".join(text.split()).lower()):
                try:
                    return make(found)
                except ValueError as fault:
                    raise ValueError(f"{text!r} {fault}") from fault
        raise ValueError(f"{text!r} {_what_is_wrong_with(text)}")

    @property
    def key(self) -> Key:
        families = {"relative": "cc", "mmc": "sysex"}
        return families.get(self.kind, self.kind), ANY if self.kind == "mmc" else self.number

    @property
    def holdable(self) -> bool:
        """Whether it can be held down: only then there are long presses."""
        return self.kind in ("note", "cc")

    def matches(self, data: Sequence[int]) -> int | None:
        """The velocity, value or steps where this message presses it, else None."""
        reading = self.reading(data)
        pressed = reading is not None and reading.fires and reading.down is not False
        return reading.value if reading is not None and pressed else None

    def reading(self, data: Sequence[int]) -> Reading | None:
        """None where the message has nothing to do with this control, on whatever channel it is."""
        return _READERS[self.kind](self, data) if self.key in keys_of(data) else None

    def __str__(self) -> str:
        if self.kind == "sysex":
            return "sysex " + " ".join("??" if one == ANY else f"{one:02X}" for one in self.sysex)
        if self.kind == "mmc":
            return f"mmc {_MMC_NAMES[self.number]}"
        if self.kind == "relative":
            return " ".join(filter(None, (f"cc {self.number} relative", self.encoding, self.way)))
        number = "" if self.number == ANY else f" {self.number}"
        beyond = f" >= {self.threshold}" if self.kind == "cc" and self.threshold != MIDDLE else ""
        return f"{self.kind}{number}{beyond}"


# From a text


def _number(text: str, what: str) -> int:
    number = int(text)
    if number > GREATEST:
        raise ValueError(f"has {what} {number}; MIDI has 0 to {GREATEST}")
    return number


def _note(found: re.Match[str]) -> Pattern:
    return Pattern("note", _number(found[1], "note"))


def _cc(found: re.Match[str]) -> Pattern:
    threshold = _number(found[2] or str(MIDDLE), "threshold")
    if not threshold:
        raise ValueError("has the threshold 0, which is never passed. Choose 1 to 127")
    return Pattern("cc", _number(found[1], "controller"), threshold)


def _relative(found: re.Match[str]) -> Pattern:
    way: Literal["", "up", "down"] = "" if found[3] is None else "up" if found[3] == "up" else "down"
    return Pattern("relative", _number(found[1], "controller"), encoding=found[2] or "", way=way)


def _program(found: re.Match[str]) -> Pattern:
    return Pattern("program", _number(found[1], "program") if found[1] else ANY)


def _mmc(found: re.Match[str]) -> Pattern:
    name = re.sub("[ -]", "_", found[1])
    if name not in MMC_COMMANDS:
        raise ValueError(f"has no MMC command in {name!r}. There are {', '.join(MMC_COMMANDS)}")
    return Pattern("mmc", MMC_COMMANDS[name])


def _sysex(found: re.Match[str]) -> Pattern:
    words = found[1].split()
    if not all(re.fullmatch(r"[0-9a-f]{2}|\?\?", word) for word in words):
        raise ValueError("needs bytes of two digits, 0 to 9 and A to F, or ??, with spaces between them")
    codes = tuple(ANY if word == "??" else int(word, 16) for word in words)
    if len(codes) < 3 or (codes[0], codes[-1]) != (SYSEX, SYSEX_END):  # noqa: PLR2004  a maker between
        raise ValueError("must be whole: it begins with F0 and ends with F7")
    if any(code > GREATEST for code in codes[1:-1]):
        raise ValueError("may have only 00 to 7F between F0 and F7")
    return Pattern("sysex", sysex=codes)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Pattern]], ...] = (
    (re.compile(r"note (\d{1,4})"), _note),
    (re.compile(r"cc (\d{1,4})(?: ?>= ?(\d{1,4}))?"), _cc),
    (re.compile(r"cc (\d{1,4}) relative(?: (offset|sign))?(?: (up|down))?"), _relative),
    (re.compile(r"program(?: (\d{1,4}))?"), _program),
    (re.compile(r"mmc ([a-z_ -]+)"), _mmc),
    (re.compile(r"sysex (.+)"), _sysex),
)


def _what_is_wrong_with(text: str) -> str:
    if re.fullmatch(r"\s*note\s+[a-h][#b♯♭]?\s*-?\d*\s*", text, re.IGNORECASE):
        return (
            "names a note by a letter, and makers count octaves differently (C3 is 48 or 60)."
            " Write its number, 0 to 127; `bridge ports --watch` shows it"
        )
    examples = "'note 36', 'cc 20', 'cc 20 relative', 'program 5', 'mmc play' or 'sysex F0 7D ?? F7'"
    return f"is no message. Write it like {examples}"


# From a message


def keys_of(data: Sequence[int]) -> tuple[Key, ...]:
    """What a message may be for; nothing for what no mapping can mean."""
    status = data[0] & 0xF0 if data else 0
    if len(data) == 3 and status in (NOTE_OFF, NOTE_ON, AFTERTOUCH):  # noqa: PLR2004
        return (("note", data[1]),)
    if len(data) == 3 and status == CONTROL:  # noqa: PLR2004
        return (("cc", data[1]),)
    if len(data) == 2 and status == PROGRAM:  # noqa: PLR2004
        return (("program", data[1]), ("program", ANY))
    return (("sysex", ANY),) if data and data[0] == SYSEX else ()


def _read_note(_pattern: Pattern, data: Sequence[int]) -> Reading:
    status = data[0] & 0xF0
    if status == AFTERTOUCH:
        return _NOTHING
    down = status == NOTE_ON and data[2] > 0  # a note-on with velocity 0 is a note-off
    return Reading(down, data[2])


def _read_cc(pattern: Pattern, data: Sequence[int]) -> Reading:
    return Reading(data[2] >= pattern.threshold, data[2])


def _read_relative(pattern: Pattern, data: Sequence[int]) -> Reading:
    steps = ENCODINGS[pattern.encoding](data[2])
    wanted = {"": steps != 0, "up": steps > 0, "down": steps < 0}[pattern.way]
    return Reading(None, steps) if wanted else _NOTHING


def _read_program(_pattern: Pattern, data: Sequence[int]) -> Reading:
    return Reading(None, data[1])


def _read_mmc(pattern: Pattern, data: Sequence[int]) -> Reading | None:
    return Reading(None, GREATEST) if pattern.number in _mmc_commands(data) else None


def _mmc_commands(data: Sequence[int]) -> Iterator[int]:
    """The commands of one message: F0 7F device 06, commands with their data, F7."""
    if len(data) <= _MMC_HEADER or (data[1], data[3]) != (0x7F, 0x06):
        return
    place = _MMC_HEADER
    while place < len(data) and data[place] != SYSEX_END:
        yield data[place]
        counted = data[place] in _MMC_WITH_COUNT and place + 1 < len(data)
        place += 2 + data[place + 1] if counted else 1


def _read_sysex(pattern: Pattern, data: Sequence[int]) -> Reading | None:
    wanted = pattern.sysex
    if len(data) != len(wanted) or any(w not in (ANY, d) for w, d in zip(wanted, data, strict=True)):
        return None
    return Reading(None, data[wanted.index(ANY)] if ANY in wanted else GREATEST)


_READERS: Mapping[Kind, Callable[[Pattern, Sequence[int]], Reading | None]] = {
    "note": _read_note,
    "cc": _read_cc,
    "relative": _read_relative,
    "program": _read_program,
    "mmc": _read_mmc,
    "sysex": _read_sysex,
}


def mmc_name(data: Sequence[int]) -> str | None:
    """The first machine control command in a message that has a name here."""
    commands = _mmc_commands(data) if data and data[0] == SYSEX else iter(())
    return next((_MMC_NAMES[code] for code in commands if code in _MMC_NAMES), None)
