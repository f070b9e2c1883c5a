"""Names of MIDI ports: which a pattern means, which are our own, what to do where one is missing. Pure.

Systems decorate the names they show: ALSA adds the client's number (`Launchpad Mini:MIDI 1 24:0`), Windows
the port's (`Launchpad Mini 2`). Both change when a controller is plugged in again, so they are taken off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

ALSA, JACK, CORE_MIDI, WIN_MM = "alsa", "jack", "coremidi", "winmm"
API_WORDS: Mapping[str, str] = {ALSA: "ALSA", JACK: "JACK", CORE_MIDI: "CoreMIDI", WIN_MM: "Windows MIDI"}
"""How the MIDI systems are called to the musician."""

LOOKER = "DAW Bridge look"
"""What programs of ours are called that look at ports and make none."""

_DECORATION: Mapping[str, re.Pattern[str]] = {
    ALSA: re.compile(r"\s+\d+:\d+$"),
    WIN_MM: re.compile(r"\s+\d+$"),
}
_LOOPBACKS = ("loopmidi", "loopback", "loop midi", "loopbe")

REMEDIES: Mapping[str, str] = {
    "linux": "Start JACK (for instance by QjackCtl or your DAW), or load ALSA's sequencer: "
    "`sudo modprobe snd-seq`. It is taken up by itself.",
    "darwin": "Open Audio MIDI Setup once, so that macOS starts its MIDI server; it is taken up by itself.",
    "win32": "Install loopMIDI (tobias-erichsen.de, free) and add a port named “{port}”, or set midi.port "
    "to a loopback port that is there; `bridge ports` lists them. It is taken up by itself.",
}


def plain_names(names: Sequence[str], api: str) -> list[str]:
    """The names without what changes from plug to plug, in the same order; namesakes get ` (2)`, ` (3)` …."""
    decoration = _DECORATION.get(api)
    seen: dict[str, int] = {}
    plain = []
    for name in names:
        short = (decoration.sub("", name) if decoration else name) or name
        seen[short] = seen.get(short, 0) + 1
        plain.append(short if seen[short] == 1 else f"{short} ({seen[short]})")
    return plain


def matches(name: str, pattern: str) -> bool:
    """Whether a port is meant: `*` is anything, `?` one sign; without them it is enough to be part of it.

    Case does not matter.
    """
    return _form(pattern.casefold())(name.casefold())


@lru_cache(maxsize=256)
def _form(pattern: str) -> Callable[[str], bool]:
    if not re.search(r"[*?]", pattern):
        return lambda name: pattern in name
    signs = {"*": ".*", "?": "."}
    form = re.compile("".join(signs.get(sign, re.escape(sign)) for sign in pattern), re.DOTALL)
    return lambda name: form.fullmatch(name) is not None


def matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The names that one of the patterns means, each once, in the order of the names."""
    wanted = tuple(patterns)
    return [name for name in names if any(matches(name, pattern) for pattern in wanted)]


def is_ours(name: str, own: str) -> bool:
    """Whether a listed port belongs to a bridge: `DAW Bridge:…`, `DAW Bridge in`, `DAW Bridge-01:…`."""
    return any(one and name.casefold().startswith(one.casefold()) for one in (own, LOOKER))


def loopback(names: Iterable[str], own: str) -> str:
    """The loopback port that carries what we play into a DAW; empty: there is none.

    Best the one that is named as our own port would be.
    """
    listed = list(names)
    named = [name for name in listed if matches(name, own)]
    usual = [name for name in listed if any(word in name.casefold() for word in _LOOPBACKS)]
    return next(iter((*named, *usual)), "")


def partner(name: str, others: Sequence[str]) -> str:
    """The port of the other direction that belongs to the same device, by its name.

    Systems name the two sides differently: `LPX MIDI Out` and `LPX MIDI In`, `MIDIIN2 (X)` and
    `MIDIOUT2 (X)`, `… (capture): X` and `… (playback): X`. Empty where none, or more than one, fits.
    """
    for likeness in (str.casefold, _without_side, lambda one: _without_side(without_numbers(one))):
        same = [other for other in others if likeness(other) == likeness(name)]
        if same:
            return same[0] if len(same) == 1 else ""
    return ""


def without_numbers(name: str) -> str:
    """A name without what systems count behind it: `28:0` of ALSA, the number of Windows."""
    return re.sub(r"\s+\d+(:\d+)?$", "", name.strip())


_SIDES = re.compile(r"\b(midi)?(input|output|in|out|capture|playback|midiin|midiout)(?=\b|\d|_)")


def _without_side(name: str) -> str:
    return _SIDES.sub("", re.sub(r"(?<=midi)_(?=capture|playback)", " ", name.casefold()))
