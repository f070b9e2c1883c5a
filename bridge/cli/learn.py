"""`bridge learn`: touch a pad, and `config.toml` says what it does from now on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from bridge import actions, config, toml_editing
from bridge.actions import Action
from bridge.cli import config_file, output
from bridge.cli.connection import Connection, daemon_at
from bridge.cli.tending import arguments_of
from bridge.config import Settings
from bridge.config_controls import PadTable
from bridge.errors import BridgeError, ConfigError, NoMidi, WrongUse
from bridge.home import home
from bridge.midi import messages
from bridge.midi.learning import Learned, Learner
from bridge.midi.port_names import is_ours, matches
from bridge.presets import PresetShelf

if TYPE_CHECKING:
    from bridge.midi.messages import Configure, Told

LOOK_S = 0.1
PRESSES = get_args(messages.Press)
RELOAD = "reload_controls"

NextTold = Callable[[float], "Told | None"]
"""Gives what the MIDI process says next; None when it says nothing for so many seconds."""
Listen = Callable[["Configure"], AbstractContextManager[NextTold]]


@dataclasses.dataclass(frozen=True)
class Wish:
    """What shall happen, and how the pad is pressed for it."""

    action: str
    arguments: Mapping[str, Any]
    press: str
    port: str


@contextmanager
def process_that_listens(settings: Configure) -> Iterator[NextTold]:
    """A MIDI process of our own, for as long as it takes. It leaves everything as it was."""
    from bridge.midi.child import midi_log
    from bridge.midi.looking import looking

    with looking(settings, midi_log(home())) as process:
        process.tell(messages.Watch(on=True))
        yield process.next


def learn(
    action: str,
    texts: Sequence[str],
    *,
    press: str = "press",
    port: str = "",
    replace: bool = False,
    as_json: bool = False,
    listen: Listen = process_that_listens,
) -> int:
    """Maps the pad that is touched next. Raises what makes that impossible; the file stays whole then."""
    wish = _wish(action, texts, press, port)
    path = home() / config.CONFIG_NAME
    settings = config.load(home())  # a file with faults is told before anybody touches a pad
    if not settings.midi.enabled:
        raise NoMidi("MIDI is turned off.", remedy="Set midi.enabled = true in config.toml.")
    daemon = daemon_at(home())
    learned = _touched(wish, settings, listen, prepares=daemon is None)
    pad = _pad(wish, learned)
    text, settings = config_file.read(path)  # it may have been edited meanwhile
    number = _the_same(settings, pad, replace=replace)
    config_file.write(path, _edited(text, pad, number, path))
    note = _take_up(daemon)
    _tell(pad, learned, path, note=note, replaced=number is not None, as_json=as_json)
    return 0


# What is wished


def _wish(action: str, texts: Sequence[str], press: str, port: str) -> Wish:
    row = actions.named(action)
    if press not in PRESSES:
        raise WrongUse(f"a pad has no '{press}' press.", remedy=f"Say one of {', '.join(PRESSES)}.")
    return Wish(row.name, _arguments(row, texts), press, port)


def _arguments(row: Action, texts: Sequence[str]) -> dict[str, Any]:
    arguments = arguments_of(texts)
    for fault in row.misnamed(arguments):
        raise fault
    row.check(arguments)
    if "preset" in row.parameters and arguments.get("preset"):
        PresetShelf(home() / "presets").get(str(arguments["preset"]))
    return arguments


# What is touched


def _touched(wish: Wish, settings: Settings, listen: Listen, *, prepares: bool) -> Learned:
    """Waits for a touch, as long as it takes; Ctrl-C ends it."""
    learner, beside = Learner(), _Beside(wish, settings.midi.port)
    with listen(_ears(wish, settings, prepares=prepares)) as next_told:
        while True:
            told = next_told(LOOK_S)
            match told:
                case messages.Heard() if not is_ours(told.port, settings.midi.port):
                    learned = learner.heard(told.port, told.data, time.monotonic())
                case _:
                    beside.tell(told)
                    learned = learner.waited(time.monotonic())
            if learned is not None:
                return learned
            if learner.wants_more:
                beside.note("Heard something. If it is a knob, turn it on, to the right …")


def _ears(wish: Wish, settings: Settings, *, prepares: bool) -> Configure:
    """Listens and makes no port of its own.

    `prepares`: controllers are brought into the state in which the bridge uses them, where their pads may
    send other messages; a running bridge has done that. For that every light is mapped, to nothing.
    """
    every = [messages.PadSpec(f"{kind} {number}") for kind in ("note", "cc") for number in range(128)]
    return dataclasses.replace(
        settings.midi.configure((), None),
        port="",
        inputs=(wish.port,) if wish.port else settings.midi.inputs,
        outputs=(),
        through=False,
        clock=messages.INTERNAL,
        clock_to=(),
        frame_exact=False,
        pads=tuple(every) if prepares else (),
    )


class _Beside:
    """What is said while a touch is waited for, each thing once."""

    def __init__(self, wish: Wish, own: str) -> None:
        self._own = own
        self._nothing = f"No port is like '{wish.port}'" if wish.port else "No controller is there"
        self._said = ""

    def tell(self, told: Told | None) -> None:
        """Raises NoMidi where there is none."""
        match told:
            case messages.Ports(api=""):
                raise NoMidi(told.why or "there is no MIDI here.", remedy=told.remedy)
            case messages.Ports():
                self._invite([port for port in told.listening if not is_ours(port, self._own)])
            case messages.Trouble():
                self.note(f"{told.words} {told.remedy}".rstrip())

    def _invite(self, ports: Sequence[str]) -> None:
        if ports:
            self.note(f"Touch the pad, key or knob on {' or '.join(ports)} … (Ctrl-C ends this)")
        else:
            self.note(f"{self._nothing} yet. Plug it in; it is taken up by itself.")

    def note(self, words: str) -> None:
        if words != self._said:
            self._said = words
            output.note(words)


# What is written


def _pad(wish: Wish, learned: Learned) -> PadTable:
    try:
        return PadTable.model_validate(
            {
                "message": learned.message,
                "port": wish.port or learned.port,
                "channel": learned.channel,
                "press": wish.press,
                "action": wish.action,
                "with": dict(wish.arguments),
            }
        )
    except ValidationError as error:
        words = "; ".join(str(detail["ctx"].get("error", detail["msg"])) for detail in error.errors())
        raise WrongUse(f"this press {words}.") from error


def _entry(pad: PadTable) -> dict[str, Any]:
    """As it stands in the file: what is the default is left out."""
    entry = pad.model_dump(by_alias=True, include={"message", "port", "channel", "press", "action", "with_"})
    defaults = {"channel": 0, "press": "press", "with": {}}
    return {key: value for key, value in entry.items() if value != defaults.get(key)}


def _the_same(settings: Settings, pad: PadTable, *, replace: bool) -> int | None:
    """The number of the mapping that is to be replaced; None: one is added."""
    alike = [number for number, one in enumerate(settings.pads) if _clash(one, pad)]
    if not alike:
        return None
    doing = ", ".join(settings.pads[number].action for number in alike)
    if not replace:
        question = f"This press does something already ({doing}). Do this instead?"
        if not (output.is_terminal() and output.confirm(question)):
            output.note(f"This press does something already ({doing}); it does both now.")
            return None
    if len(alike) > 1:
        lines = ", ".join(f"pads[{number + 1}]" for number in alike)
        raise WrongUse(
            f"{len(alike)} mappings are on this press ({lines}).",
            remedy="Take out of config.toml those that you do not want, then do this again.",
        )
    return alike[0]


def _clash(one: PadTable, other: PadTable) -> bool:
    """Whether `one` fires at the press that `other` names exactly."""
    same_press = one.press == other.press or {one.press, other.press} == {"press", "short"}
    return (
        one.message == other.message
        and same_press
        and one.channel in (0, other.channel)
        and (one.port == other.port or matches(other.port, one.port))
    )


def _edited(text: str, pad: PadTable, number: int | None, path: Path) -> str:
    entry = _entry(pad)
    does: dict[str, Any] = {key: entry[key] for key in ("action", "with") if key in entry}
    try:
        if number is None:
            return toml_editing.added(text, "pads", entry)
        gone = {"with", "variants"} - does.keys()
        return toml_editing.changed(text, "pads", number, does, without=gone)
    except toml_editing.NotByItself as fault:
        place = "" if number is None else f", in place of pads[{number + 1}]"
        remedy = f"Put this in by hand{place}:\n\n{toml_editing.block('pads', entry)}"
        raise ConfigError(f"{fault}.", file=path, remedy=remedy) from fault


# What is said


def _take_up(daemon: Connection | None) -> str:
    if daemon is None:
        return "It holds from the next `bridge run` on."
    try:
        daemon.act(RELOAD, {})
    except BridgeError as error:
        return f"Start the bridge again, so that it takes this up ({error.message})"
    return "The running bridge has taken it up."


def _tell(pad: PadTable, learned: Learned, path: Path, *, note: str, replaced: bool, as_json: bool) -> None:
    entry = _entry(pad)
    if as_json:
        output.say_json({"pad": entry, "heard": learned.words, "replaced": replaced, "file": str(path)})
        return
    channel = f" on channel {learned.channel}" if learned.channel else ""
    output.say(f"Heard {learned.words}{channel}, from {learned.port}.")
    arguments = "".join(f" {key}={value}" for key, value in pad.with_.items())
    output.say(f"It does {pad.action.replace('_', '-')}{arguments} from now on; written into {path}.")
    output.note(note)
