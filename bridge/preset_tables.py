"""The tables of a preset's TOML file: its steps, its deliveries, what it says about the music."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bridge.conversions import catalogue
from bridge.media.musical_context import Told, exact_bpm, meter_map
from bridge.media.musical_time import Key, KeyPoint, TempoMap
from bridge.midi.messages import Follow, Quantum

SOURCE = "source"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class Step(_Table):
    """One conversion: `from` is "source", "step.role", or "step" for every artifact of that step."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    conversion: str
    from_: str = Field(default=SOURCE, alias="from")
    converter: Literal["auto", "local", "musicgpt"] = "auto"
    parameters: dict[str, bool | int | float | str | list[Any]] = {}

    @field_validator("conversion")
    @classmethod
    def _spelt_as_in_the_table(cls, name: str) -> str:
        return catalogue.canonical(name)


class QuantiseTable(_Table):
    """Notes drawn to a grid: `grid` as a note value, `strength` and `swing` 0 to 1."""

    grid: str = Field(default="1/16", pattern=r"^1/(1|2|3|4|6|8|12|16|24|32|48|64)$")
    strength: float = Field(default=1.0, ge=0, le=1)
    swing: float = Field(default=0.0, ge=0, le=1)


class StreamTable(_Table):
    """How notes are played: from when on, how often, how high, on which channels, to which port.

    `channels` maps a track's name, or "*", to a channel.
    """

    when: Literal[Quantum, "armed"] = "bar"
    count: int = Field(default=1, ge=1, le=64)
    """The next multiple of so many beats or bars."""
    loop: bool = False
    transpose: int = Field(default=0, ge=-48, le=48)
    channels: dict[str, Annotated[int, Field(ge=1, le=16)]] = {}
    port: str = ""
    """A name pattern; empty: the bridge's own."""
    follow: Follow = "launch"


class Deliver(_Table):
    """One delivery: which results (`step.role`, `step`, or everything) go where, under which name."""

    to: Literal["project_folder", "stream"] = "project_folder"
    """Files in the project folder; or notes that the MIDI port plays as soon as the job is done."""
    from_: str = Field(default="*", alias="from")
    pattern: str = "{bounce}_{role}.{ext}"
    together: bool = False
    """Notes only: one MIDI file of all, a track for each stem and each file of an export."""
    sidecar: bool = True
    midi_start: Literal["bounce", "bar", "project"] = "bounce"
    """Where a MIDI file's bar 1 is: at the bounce's first sample, at its bar line, or the project's."""
    quantise: QuantiseTable | None = None
    stream: StreamTable | None = None
    """How notes are played, with `to = "stream"`."""


class Preset(_Table):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str
    about: str = ""
    tempo_bpm: float | None = Field(default=None, ge=20, le=400)
    meter: str | None = Field(default=None, pattern=r"^[1-9][0-9]?/(1|2|4|8|16|32)$")
    key: str | None = Field(default=None, pattern=r"^[A-G](#|b)?(m|maj|min| major| minor)?$")
    steps: tuple[Step, ...] = Field(min_length=1)
    deliver: tuple[Deliver, ...] = (Deliver(),)

    def told(self) -> Told:
        """What it tells about the music of every bounce it is applied to."""
        return Told(
            "preset",
            tempo=None if self.tempo_bpm is None else TempoMap.constant(exact_bpm(self.tempo_bpm)),
            meters=None if self.meter is None else meter_map(self.meter),
            keys=() if self.key is None else (KeyPoint(Fraction(0), Key.named(self.key)),),
        )
