"""The one place that writes audio: in the rate, depth, container and channels that it came in, chunks kept.

Engine side: numpy, soundfile. A set (the stems of a song) is written alike: when one sample of one member
would exceed full scale, all of it becomes 32-bit float, so that nothing is clipped or turned down and the
members still add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile as sf

from bridge.errors import AudioError
from bridge.media.audio_format import (
    AudioFormat,
    Plan,
    chunks_for,
    flac_blocks_for,
    name_for_libsndfile,
    plan_for,
    sample_order,
)
from bridge.media.flac_blocks import FlacBlock, with_blocks
from bridge.media.sample_depth import FINENESS, Floats, encoded, left_aligned, quantised
from bridge.media.sample_spool import Spool
from bridge.media.wav_assembly import assemble, put
from bridge.media.wav_chunks import WavChunks
from bridge.media.wav_format import PCM
from bridge.media.whole_files import CHECK_DISK, discard, hidden_beside, told_of_writing

TOO_LOUD = "some samples exceed full scale, so 32-bit float was written"


@dataclass(frozen=True)
class WrittenSet:
    """What was written: member → path, in which container and depth. `warnings` are for the musician."""

    paths: Mapping[str, Path]
    container: str
    subtype: str
    frames: int
    warnings: tuple[str, ...]


def write_set(
    members: Mapping[str, Iterable[Floats]],
    like: AudioFormat,
    folder: Path,
    *,
    channels: int | None = None,
    rate_hz: int | None = None,
    frames: int | None = None,
    start_frame: int = 0,
    is_changed: bool = True,
    subtype: str | None = None,
    dither: bool = False,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> WrittenSet:
    """Writes each member as `folder / (its name + suffix)`, in the format `like`; an older file is replaced.

    A member gives blocks of (frames, channels) or, for one channel, (frames,) float32 or float64; a block of
    one channel is taken for all `channels` (default: those of `like`). Blocks are asked for in turn, so that
    members may come out of one process. With `frames` each member gets exactly so many: silence is added, or
    the rest left out. `start_frame` is the source's frame with which the members begin: chunks move with it;
    `rate_hz` another rate that the blocks have. `is_changed` False keeps what was measured on the samples.
    `dither` adds noise where `subtype` is coarser than the source. The same arguments give the same bytes.

    Nothing is left behind when it fails, memory is bounded, and the disk needs room for a second copy. It is
    not waited until the disk has them: the cache, which keeps results, does so, and a DAW's callbacks were
    late beside a disk that is told to hurry.
    Raises AudioError, ValueError for blocks of another shape or kind, and what `check` and the members raise.
    """
    channels, rate_hz = channels or like.channels, rate_hz or like.rate_hz
    _check_names(members)
    with ExitStack() as stack:
        with told_of_writing(folder):
            spools = {name: Spool(folder, channels, frames, stack) for name in members}
        _fill(spools, members, folder, check)
        counts = {name: spool.frames if frames is None else frames for name, spool in spools.items()}
        wanted = (subtype or like.subtype, channels, rate_hz, max(counts.values()))
        plan = _plan(like, spools, *wanted)
        is_dithered = dither and FINENESS[plan.subtype] < FINENESS[like.subtype]
        warnings = [*plan.warnings, *_number_warnings(spools.values())]
        finals: dict[Path, Path] = {}
        for number, (name, spool) in enumerate(spools.items()):
            temp, final = hidden_beside(folder / name), folder / f"{name}{plan.suffix}"
            stack.callback(discard, temp)
            finals[temp] = final
            chunks, words = chunks_for(like, plan, start_frame, counts[name], is_changed=is_changed)
            warnings += [one for one in words if one not in warnings]
            noise = np.random.default_rng([seed, number]) if is_dithered else None
            sound = _Sound(spool.blocks(counts[name], check), counts[name], noise)
            with told_of_coding(final):
                _write(temp, sound, plan, chunks, flac_blocks_for(like, is_cut=start_frame > 0))
        with told_of_writing(folder):
            for temp, final in finals.items():
                temp.replace(final)
    paths = dict(zip(spools, finals.values(), strict=True))
    return WrittenSet(paths, plan.container, plan.subtype, max(counts.values()), tuple(warnings))


def _check_names(members: Mapping[str, object]) -> None:
    if not members:
        raise ValueError("a set has one member at least")
    for name in members:
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no name of a file")


def _fill(
    spools: Mapping[str, Spool],
    members: Mapping[str, Iterable[Floats]],
    folder: Path,
    check: Callable[[], None],
) -> None:
    """Takes a block of each member in turn until all have come to their end."""
    open_members = {name: iter(blocks) for name, blocks in members.items()}
    while open_members:
        for name in list(open_members):
            check()
            block = next(open_members[name], None)
            if block is None:
                del open_members[name]
                continue
            with told_of_writing(folder):
                spools[name].add(block)


def _plan(
    like: AudioFormat, spools: Mapping[str, Spool], subtype: str, channels: int, rate_hz: int, frames: int
) -> Plan:
    """The plan for the whole set: floats where one sample of one member needs them."""
    plan = plan_for(like, subtype=subtype, channels=channels, rate_hz=rate_hz, frames=frames)
    if plan.made.tag != PCM or not any(one.exceeds(plan.made.valid_bits) for one in spools.values()):
        return plan
    plan = plan_for(like, subtype="FLOAT", channels=channels, rate_hz=rate_hz, frames=frames)
    return replace(plan, warnings=(TOO_LOUD, *plan.warnings))


@dataclass(frozen=True)
class _Sound:
    """The samples of one member: `frames` in all; `noise` for dither."""

    blocks: Iterable[Floats]
    frames: int
    noise: np.random.Generator | None


def _number_warnings(spools: Iterable[Spool]) -> list[str]:
    count = sum(spool.not_numbers for spool in spools)
    return [f"{count:,} samples were not numbers; silence was written"] if count else []


def _write(temp: Path, sound: _Sound, plan: Plan, chunks: WavChunks, blocks: tuple[FlacBlock, ...]) -> None:
    if plan.container in ("WAV", "AIFF"):
        with temp.open("xb") as file:
            _write_chunked(file, sound, plan, chunks)
        return
    if plan.container != "FLAC":
        _write_coded(temp, sound, plan)
        return
    plain = hidden_beside(temp)
    try:
        _write_coded(plain, sound, plan)
        with plain.open("rb") as source, temp.open("xb") as file:
            with_blocks(source, file, blocks)
    finally:
        discard(plain)


def _write_chunked(file: BinaryIO, sound: _Sound, plan: Plan, chunks: WavChunks) -> None:
    order = sample_order(chunks)
    around = assemble(chunks, data_bytes=sound.frames * plan.made.frame_bytes, frames=sound.frames)
    put(file, around.head)
    for block in sound.blocks:
        unsigned_bytes = plan.container == "WAV"
        file.write(encoded(block, plan.made, order, unsigned_bytes=unsigned_bytes, dither=sound.noise))
    put(file, around.tail)


def _write_coded(path: Path, sound: _Sound, plan: Plan) -> None:
    made = plan.made
    with sf.SoundFile(
        name_for_libsndfile(path), "w", made.rate_hz, made.channels, plan.subtype, format=plan.container
    ) as file:
        for block in sound.blocks:
            if made.tag == PCM:  # libsndfile scales floats by one less than full scale: not exact
                numbers = quantised(block, made.valid_bits, sound.noise)
                file.write(left_aligned(numbers, made.valid_bits))
            else:
                file.write(block)


@contextmanager
def told_of_coding(path: Path) -> Iterator[None]:
    """Turns what the system and libsndfile raise on writing into AudioError."""
    try:
        with told_of_writing(path):
            yield
    except sf.SoundFileError as fault:
        words = (getattr(fault, "error_string", "") or str(fault)).strip().rstrip(".")
        raise AudioError(f"it could not be written ({words}).", remedy=CHECK_DISK, file=path) from fault
