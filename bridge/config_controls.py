"""The settings of what hands touch: the tables `[midi]`, `[[pads]]` and `[[hotkeys]]` of `config.toml`.

Whether an action exists is not known here; who wires the pads to the actions asks for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from bridge.key_names import Combination
from bridge.midi.controller_maps import check as check_controller
from bridge.midi.messages import Configure, PadSpec, Press
from bridge.midi.patterns import Pattern

TEMPO_WHERE_NONE_IS_KNOWN_BPM = 120.0


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


def _names(value: object) -> object:
    """A list; one text is a list as well, its entries with commas between them."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _delays(value: object) -> object:
    """A table; in an environment variable a text like `My Port = 3.5, Other = 2`."""
    if not isinstance(value, str):
        return value
    parts = [part.rpartition("=") for part in value.split(",") if part.strip()]
    return {name.strip(): number.strip() for name, _, number in parts}


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty. Write a name, or take the line out")
    return text


Name = Annotated[str, AfterValidator(_named)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_names)]
Delay = Annotated[float, Field(ge=-1000, le=1000)]


class MidiSettings(_Table):
    """Everything about MIDI ports and the clock. Ports are named by patterns: see `port_names.matches`."""

    enabled: bool = True
    port: Name = "DAW Bridge"
    """What our virtual port is called; on Windows the loopback port that is used in its place."""
    backend: Literal["auto", "jack", "alsa", "coremidi", "winmm"] = "auto"
    inputs: Names = ("*",)
    """Those that are listened to."""
    outputs: Names = ()
    """Those that are played to beside our own."""
    through: bool = False
    """Whether what is heard and not mapped goes out again, at a port of its own."""
    clock: Name = "auto"
    """Whose beat holds: "internal", "link", a port's name, or whoever sends one."""
    clock_to: Names = ()
    meter: str = "4/4"
    controller: str = "auto"
    frame_exact: bool = False
    """With JACK and the extra `jack`: each event at its exact frame."""
    presets: Names = ()
    """Those that the actions next_preset and previous_preset go through; none: all."""
    latency_ms: Annotated[dict[str, Delay], BeforeValidator(_delays)] = {}
    """For a port by name: so much earlier is sent what goes there."""

    @field_validator("meter")
    @classmethod
    def _is_a_meter(cls, text: str) -> str:
        if not re.fullmatch(r"[1-9][0-9]?/(1|2|4|8|16|32)", text):
            raise ValueError(f"is no meter ({text!r}). Write it like '4/4' or '6/8'")
        return text

    @field_validator("controller")
    @classmethod
    def _is_known(cls, name: str) -> str:
        check_controller(name)
        return name

    def configure(self, pads: Sequence[PadTable], tempo_bpm: float | None) -> Configure:
        """What the MIDI process is told. Pads keep their places: mapping number 0 is the first."""
        return Configure(
            port=self.port,
            backend=self.backend,
            inputs=self.inputs,
            outputs=self.outputs,
            through=self.through,
            clock=self.clock,
            clock_to=self.clock_to,
            meter=self.meter,
            tempo_bpm=tempo_bpm or TEMPO_WHERE_NONE_IS_KNOWN_BPM,
            latency_ms=dict(self.latency_ms),
            controller=self.controller,
            frame_exact=self.frame_exact,
            pads=tuple(pad.spec() for pad in pads),
        )


class Variant(_Table):
    """Other arguments, for values up to `up_to` that no variant before it takes."""

    up_to: int = Field(ge=-128, le=127)
    with_: dict[str, Any] = Field(default={}, alias="with")


class PadTable(_Table):
    """One mapping: a message, how it is pressed, and the action that it starts."""

    message: str
    port: Name = "*"
    channel: int = Field(default=0, ge=0, le=16)
    """0: any."""
    press: Press = "press"
    action: str
    with_: dict[str, Any] = Field(default={}, alias="with")
    """The action's arguments."""
    pass_on: bool = False
    """Whether the message goes on to the through port as well."""
    variants: tuple[Variant, ...] = ()

    @field_validator("message")
    @classmethod
    def _in_one_spelling(cls, text: str) -> str:
        return str(Pattern.parse(text))

    @field_validator("press")
    @classmethod
    def _can_be_pressed_so(cls, press: Press, found: ValidationInfo) -> Press:
        message = found.data.get("message")
        if message is None:  # told already
            return press
        pattern = Pattern.parse(message)
        if press == "long" and not pattern.holdable:
            raise ValueError(f"cannot be 'long': {message!r} cannot be held. Map a note or a cc")
        if press == "double" and pattern.kind == "relative":
            raise ValueError(f"cannot be 'double': {message!r} is turned. Map a note or a cc")
        return press

    @field_validator("action")
    @classmethod
    def _as_in_the_table_of_actions(cls, name: str) -> str:
        return name.replace("-", "_")

    def spec(self) -> PadSpec:
        return PadSpec(self.message, self.press, self.port, self.channel, self.pass_on)


class HotkeyTable(_Table):
    """One combination of keys, anywhere on this machine, and the action that it starts."""

    keys: str
    action: str
    with_: dict[str, Any] = Field(default={}, alias="with")

    @field_validator("keys")
    @classmethod
    def _in_one_spelling(cls, text: str) -> str:
        return str(Combination.parse(text))

    @field_validator("action")
    @classmethod
    def _as_in_the_table_of_actions(cls, name: str) -> str:
        return name.replace("-", "_")


def arguments_for(pad: PadTable, value: int) -> dict[str, Any]:
    """The action's arguments for a press with this value: the pad's own, and over them its variant's."""
    reached = (one for one in sorted(pad.variants, key=lambda one: one.up_to) if value <= one.up_to)
    variant = next(reached, None)
    more: Mapping[str, Any] = variant.with_ if variant else {}
    return {**pad.with_, **more}


CONTROLS_TEMPLATE = """\

# MIDI: pads and clock come in, results play out. Ports are named by parts of their names; * is anything.
[midi]
# enabled = true
# port = "DAW Bridge"           # our own port; on Windows a loopback port that is there already
# backend = "auto"              # auto | jack | alsa | coremidi | winmm
# inputs = ["*"]                # what is listened to
# outputs = []                  # what is played to beside our own port
# through = false               # true: what is not mapped goes out again at a port of its own
# clock = "auto"                # whoever sends one | "internal" | "link" | a port's name
# clock_to = []                 # ports that get our clock
# meter = "4/4"                 # while nobody tells one
# controller = "auto"           # whose lights: auto | generic | none | a name | your own file of them
# presets = []                  # what next_preset and previous_preset go through; none: all of them
# frame_exact = false           # true: each event at its exact frame; with JACK and the extra "jack"
# latency_ms = {}               # { "My Synth" = 3.0 }: sent so much earlier; `bridge latency` measures it

# One block for each pad, knob or pedal; `bridge learn convert-latest` writes one by itself.
#   [[pads]]
#   message = "note 36"         # note 36 | cc 20 | cc 20 relative | program 5 | mmc play | sysex F0 7D ?? F7
#   action = "convert_latest"   # `bridge trigger` lists all actions
#   with = { preset = "stems" } # the action's arguments
#   press = "press"             # press | long | double
#   channel = 10                # 1 to 16; 0: any
#   port = "Launchpad"

# One block for each combination of keys, wherever you are.
#   [[hotkeys]]
#   keys = "ctrl+alt+h"
#   action = "convert_latest"
"""
