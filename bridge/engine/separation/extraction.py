"""A mix taken apart: voices and instrumental by Spleeter's network, drafts of more, or one of your own.

All stems come out of one pass over the sound. Voices and instrumental add up to the source by themselves;
`residual` is what the stems that were asked for leave of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from bridge.conversions.enhancement import LOCAL_STEMS
from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.model_table import MODELS
from bridge.engine.parts import write_parts
from bridge.engine.reading import told_blocks
from bridge.engine.separation.cleaning import cleaned
from bridge.engine.separation.declared import DeclaredStems, check_graph
from bridge.engine.separation.drafts import Drafts
from bridge.engine.separation.network import Network
from bridge.engine.separation.voices import Voices
from bridge.engine.windows import overlapped
from bridge.errors import WrongUse
from bridge.media.audio_files import expected_samples
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_sources import open_source
from bridge.media.raw_pcm import Samples

SPLEETER, AUTO = "spleeter", "auto"
VOCALS, INSTRUMENTAL, RESIDUAL = "vocals", "instrumental", "residual"
OWN_STEMS: Final = (VOCALS, INSTRUMENTAL, *LOCAL_STEMS)
DOING: Final = "taking the stems apart"
QUIET_SHARE: Final = 0.01
"""Of the loudest block's power; as in EBU R 128, what is less does not count for the level."""
NO_ECO: Final = "eco_mode changes nothing here: all stems come out of one pass"
MORE_STEMS: Final = (
    "Add a network that gives it (bridge models add NAME FILE.onnx, then model = NAME), or ask MusicGPT."
)

Stems = Mapping[str, Samples]


class Separator(Protocol):
    """Stems of windows of `frames` frames, faded over `overlap` frames."""

    @property
    def frames(self) -> int: ...
    @property
    def overlap(self) -> int: ...
    def __call__(self, window: Samples) -> Stems: ...


def extract(job: AudioJob) -> list[Row]:
    """Writes the stems that are asked for, each on the source's frames and as the source is made.

    With `preprocessing_options` the source is cleaned first, and the stems and the residual add up to that.
    Raises WrongUse for stems that cannot be had, ModelError, AudioError, and what `job.check` raises.
    """
    asked = list(dict.fromkeys(job.parameters["stems"]))
    names = [name for name in asked if name != RESIDUAL]
    network = _Choice.of(job)
    network.check(names)
    own = AudioFormat.of(job.source)
    with cleaned(job) as (ready, said, models), ExitStack() as stack:
        separator = network.separator(ready, own, names, stack)
        parts = _parts(ready, own.rate_hz, separator, names)
        rows = write_parts(ready, own, parts, names, rest=RESIDUAL if RESIDUAL in asked else "")
    said = ". ".join(filter(None, [said, NO_ECO if job.parameters["eco_mode"] else ""]))
    described = (_described(row, network, said) for row in rows)
    return [{**row, "about": row["about"] | {"models": [network.name, *models]}} for row in described]


@dataclass(frozen=True)
class _Choice:
    """The network that is asked for: by its name, and the stems that can be had of it."""

    name: str
    stems: tuple[str, ...]

    @classmethod
    def of(cls, job: AudioJob) -> _Choice:
        name = job.parameters["model"]
        if name in (AUTO, SPLEETER):
            return cls(SPLEETER, OWN_STEMS)
        if name in {model.name for model in MODELS}:
            raise WrongUse(f"the model {name} is none that takes stems apart", remedy=MORE_STEMS)
        stems = check_graph(job.fetch_model(name)).stems
        has_rest = VOCALS in stems and INSTRUMENTAL not in stems
        return cls(name, (*stems, INSTRUMENTAL) if has_rest else stems)

    @property
    def is_ours(self) -> bool:
        return self.name == SPLEETER

    def check(self, names: Sequence[str]) -> None:
        """Raises WrongUse for names of stems that it does not give."""
        if not names:
            words = f"stems must name one beside {RESIDUAL}, which is what the others leave"
            raise WrongUse(words, remedy=f"Ask for some of {', '.join(self.stems)} too.")
        missing = [name for name in names if name not in self.stems]
        if missing:
            who = "this machine" if self.is_ours else f"the network {self.name}"
            words = f"{who} cannot take out {', '.join(missing)}: it knows {', '.join(self.stems)}"
            raise WrongUse(words, remedy=MORE_STEMS)

    def separator(self, job: AudioJob, own: AudioFormat, names: Sequence[str], stack: ExitStack) -> Separator:
        model = job.models.get(self.name) or job.fetch_model(self.name)
        network = stack.enter_context(Network(model, threads=job.threads, check=job.check))
        if self.is_ours:
            voices = Voices(network, own.rate_hz, own.channels, _level(job), job.check)
            return _Ours(voices, Drafts(own.rate_hz, job.check) if set(names) & set(LOCAL_STEMS) else None)
        return _WithRest(DeclaredStems(network, check_graph(model), own.rate_hz, job.check))

    def quality(self, stem: str) -> str:
        return "draft" if self.is_ours and stem in LOCAL_STEMS else "good"


class _Ours:
    """Voices, what is left of the sound without them, and drafts of that."""

    def __init__(self, voices: Voices, drafts: Callable[[Samples], Stems] | None) -> None:
        self._voices, self._drafts = voices, drafts
        self.frames, self.overlap = voices.frames, voices.overlap

    def __call__(self, window: Samples) -> Stems:
        voices = self._voices(window)
        rest = window - voices
        return {VOCALS: voices, INSTRUMENTAL: rest, **(self._drafts(rest) if self._drafts else {})}


class _WithRest:
    """A network's own stems, and the instrumental where it gives voices alone."""

    def __init__(self, stems: DeclaredStems) -> None:
        self._stems = stems
        self.frames, self.overlap = stems.frames, stems.overlap

    def __call__(self, window: Samples) -> Stems:
        stems = self._stems(window)
        return {INSTRUMENTAL: window - stems[VOCALS], **stems} if VOCALS in stems else stems


def _parts(
    job: AudioJob, rate_hz: int, separator: Separator, names: Sequence[str]
) -> Iterator[tuple[Samples, ...]]:
    def work(window: Samples) -> tuple[Samples, ...]:
        stems = separator(window)
        return tuple(stems[name] for name in names)

    sound = told_blocks(_sound(job), expected_samples(job.source, rate_hz), job.progress, DOING)
    return overlapped(sound, work, frames=separator.frames, overlap=separator.overlap)


def _level(job: AudioJob) -> float:
    """How loud the source is where it sounds: the root of the mean square, without its quiet blocks."""
    powers = np.array([float(np.square(block).mean(dtype=np.float64)) for block in _sound(job)])
    loud = powers[powers > QUIET_SHARE * powers.max(initial=0)]
    return float(np.sqrt(loud.mean())) if loud.size else 0.0


def _sound(job: AudioJob) -> Iterator[Samples]:
    """The source's blocks; what is no number in them is silence."""
    with open_source(job.source) as source:
        for block in source.blocks:
            job.check()
            yield np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _described(row: Row, network: _Choice, said: str) -> Row:
    """The row with its quality, and in its note what was `said` of all and what a draft is not."""
    about, role = dict(row["about"]), row["role"]
    words = [about.pop("note", ""), said]
    if role != RESIDUAL:
        about["quality"] = network.quality(role)
        words.append(f"a draft: {LOCAL_STEMS[role]}" if about["quality"] == "draft" else "")
    note = ". ".join(word for word in words if word)
    return {**row, "about": about | ({"note": note} if note else {})}
