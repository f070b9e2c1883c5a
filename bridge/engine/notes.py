"""Audio to notes: Basic Pitch's network on overlapping windows, then our own decoding.

The network (Bittner et al., "A Lightweight Instrument-Agnostic Model for Polyphonic Note Transcription and
Multipitch Estimation", ICASSP 2022) takes windows of 43,844 samples at 22,050 Hz and answers with 172
frames, one every 256 samples. Frames near a window's ends lack context: 15 in front and 16 at the back are
dropped, and windows follow each other by exactly the 141 frames that are kept. So frame f of the whole is at
sample f * 256, for hours, with no seam to correct for. (The package's own hop of 36,164 samples is 141.27
frames: there each window repeats a part of a frame, and times need a correction.)

Each window is worked on alone, by one thread: a thread a window scales better than threads within one,
nothing spins, and the result is the same, bit for bit, for any number of threads.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soundfile
from numpy.typing import NDArray

from bridge.engine import synth
from bridge.engine.note_decoding import (
    FRAME_HOP,
    MODEL_RATE_HZ,
    PITCHES,
    DecodingOptions,
    decode,
    pack,
)
from bridge.engine.version import ENGINE_VERSION
from bridge.errors import WrongUse
from bridge.media.audio_files import read_mono
from bridge.media.notes import NOTES_MEDIA_TYPE, Note, notes_to_csv, notes_to_json

__all__ = ["ENGINE_VERSION", "Posteriors", "audio_to_midi", "posteriors", "transcribe", "warm"]

WINDOW_SAMPLES = 43_844
FRONT_FRAMES = 15
KEPT_FRAMES = 141
HOP_SAMPLES = KEPT_FRAMES * FRAME_HOP
MOST_WINDOWS_AT_ONCE = 4  # about 25 MB each
SONIFIED_RATE_HZ = 44_100

INPUT = "serving_default_input_2:0"
OUTPUTS = ("StatefulPartitionedCall:1", "StatefulPartitionedCall:2")  # note, onset

Samples = NDArray[np.float32]
Packed = NDArray[np.uint16]
Check = Callable[[], None]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Posteriors:
    """What the network heard: (frames, 88) each, packed; `samples` at 22,050 Hz were read."""

    note: Packed
    onset: Packed
    samples: int

    @property
    def duration_s(self) -> float:
        return self.samples / MODEL_RATE_HZ


def audio_to_midi(
    source: Path,
    parameters: Mapping[str, Any],
    folder: Path,
    *,
    model: Path,
    progress: Progress,
    check: Check,
    threads: int,
) -> list[dict[str, str]]:
    """The task: notes of the audio file `source`, written into `folder`.

    Writes `notes.json` (role `midi`), with `save_note_events` `notes.csv`, with `sonify_midi` `sonified.wav`
    (44.1 kHz, 16 bit). Answers with `role`, `file`, `media_type` of each. `check` may raise to cancel.
    Raises AudioError for a file that cannot be read and WrongUse for parameters out of range.
    """
    options = decoding_options(parameters)
    try:
        heard, notes = transcribe(
            source, options, model=model, progress=progress, check=check, threads=threads
        )
        progress(0.96, "writing notes")
        about = {
            "engine_version": ENGINE_VERSION,
            "models": {"basic-pitch": hashlib.sha256(model.read_bytes()).hexdigest()},
            "parameters": asdict(options),
        }
        document = notes_to_json(notes, duration_s=heard.duration_s, about=about)
        (folder / "notes.json").write_text(json.dumps(document), encoding="utf-8")
        made = [{"role": "midi", "file": "notes.json", "media_type": NOTES_MEDIA_TYPE}]
        if parameters.get("save_note_events", False):
            (folder / "notes.csv").write_text(notes_to_csv(notes), encoding="utf-8", newline="")
            made.append({"role": "note_events", "file": "notes.csv", "media_type": "text/csv"})
        if parameters.get("sonify_midi", False):
            check()
            _sonify(notes, folder / "sonified.wav", duration_s=heard.duration_s)
            made.append({"role": "sonified", "file": "sonified.wav", "media_type": "audio/wav"})
    finally:
        _give_memory_back()
    progress(1.0, "done")
    return made


def transcribe(
    source: Path, options: DecodingOptions, *, model: Path, progress: Progress, check: Check, threads: int
) -> tuple[Posteriors, list[Note]]:
    """What the network heard in an audio file, and the notes in it, none longer than the audio."""
    expected = _expected_samples(source)

    def tell(samples: int) -> None:
        # With no length in the header: half-way at one minute.
        share = samples / expected if expected else samples / (samples + 60 * MODEL_RATE_HZ)
        progress(0.95 * min(share, 1.0), "listening for notes")

    blocks = read_mono(source, rate_hz=MODEL_RATE_HZ, check=check)
    heard = posteriors(blocks, model=model, threads=threads, check=check, tell=tell)
    check()
    notes = decode(heard.note, heard.onset, options)
    end_s = heard.duration_s
    return heard, [replace(note, end_s=min(note.end_s, end_s)) for note in notes if note.start_s < end_s]


def posteriors(
    blocks: Iterable[Samples],
    *,
    model: Path,
    threads: int,
    check: Check = lambda: None,
    tell: Callable[[int], None] = lambda _samples: None,
) -> Posteriors:
    """Runs the network over mono blocks at 22,050 Hz, in bounded memory but for the result.

    `check` is called before each round of `threads` windows (at most 4); `tell` hears how many samples are
    done.
    """
    at_once = max(1, min(threads, MOST_WINDOWS_AT_ONCE))
    run = partial(_run, _session(str(model)))
    heard: list[tuple[Packed, Packed]] = []
    samples = 0
    with ThreadPoolExecutor(at_once, thread_name_prefix="windows") as pool:
        for windows, samples in _rounds(blocks, at_once):
            check()
            heard += pool.map(run, windows) if at_once > 1 else map(run, windows)
            tell(samples)
    frames = samples // FRAME_HOP + 1 if samples else 0
    note, onset = (_joined([window[which] for window in heard], frames) for which in (0, 1))
    return Posteriors(note, onset, samples)


def _run(session: Any, window: Samples) -> tuple[Packed, Packed]:
    """The kept frames of one window of (43844,) samples: note and onset, (141, 88) each."""
    note, onset = session.run(OUTPUTS, {INPUT: window[np.newaxis, :, np.newaxis]})
    kept = slice(FRONT_FRAMES, FRONT_FRAMES + KEPT_FRAMES)
    return pack(note[0, kept]), pack(onset[0, kept])


def decoding_options(parameters: Mapping[str, Any]) -> DecodingOptions:
    """The decoding's part of a conversion's parameters. Raises WrongUse for values that cannot be."""
    names = DecodingOptions.__dataclass_fields__
    options = DecodingOptions(**{name: parameters[name] for name in names if name in parameters})
    for name in ("onset_threshold", "frame_threshold"):
        if not 0 < getattr(options, name) < 1:
            raise WrongUse(f"{name} must be between 0 and 1", remedy=f"The default is {names[name].default}.")
    if options.lowest_note > options.highest_note:
        raise WrongUse("lowest_note is above highest_note", remedy="Swap them.")
    return options


def warm(model: Path) -> None:
    """Loads the network ahead of the first job."""
    _session(str(model))


@lru_cache(maxsize=1)
def _session(model: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The arena would keep its largest size for as long as the process lives.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _rounds(blocks: Iterable[Samples], at_once: int) -> Iterator[tuple[list[Samples], int]]:
    """Rounds of `at_once` windows of (43844,), each with the number of samples that were read so far.

    The first window begins 15 frames before the audio, so that the first kept frame is frame 0; the last ones
    are filled with silence until every frame of the audio is kept once.
    """
    waiting = np.zeros(FRONT_FRAMES * FRAME_HOP, dtype=np.float32)
    samples = done = 0
    for block in blocks:
        samples += len(block)
        waiting = np.concatenate([waiting, block])
        while len(waiting) >= WINDOW_SAMPLES + (at_once - 1) * HOP_SAMPLES:
            yield _windows(waiting, at_once), samples
            waiting = waiting[at_once * HOP_SAMPLES :]
            done += at_once
    left = -(-(samples // FRAME_HOP + 1) // KEPT_FRAMES) - done if samples else 0
    waiting = np.concatenate([waiting, np.zeros(left * HOP_SAMPLES + WINDOW_SAMPLES, dtype=np.float32)])
    for first in range(0, left, at_once):
        yield _windows(waiting[first * HOP_SAMPLES :], min(at_once, left - first)), samples


def _windows(samples: Samples, count: int) -> list[Samples]:
    starts = range(0, count * HOP_SAMPLES, HOP_SAMPLES)
    return [samples[start : start + WINDOW_SAMPLES] for start in starts]


def _joined(parts: list[Packed], frames: int) -> Packed:
    return np.concatenate([np.empty((0, PITCHES), dtype=np.uint16), *parts])[:frames]


def _expected_samples(source: Path) -> int | None:
    """How many samples the header promises, for the progress only; None if it does not say."""
    with suppress(soundfile.SoundFileError, OSError, ValueError):
        info = soundfile.info(source)
        return int(info.frames / info.samplerate * MODEL_RATE_HZ)
    return None


def _sonify(notes: list[Note], path: Path, *, duration_s: float) -> None:
    sound = synth.render(notes, rate_hz=SONIFIED_RATE_HZ, duration_s=duration_s)
    soundfile.write(path, sound, SONIFIED_RATE_HZ, subtype="PCM_16")


def _give_memory_back() -> None:
    """Freed memory goes back to the system, as the worker idles on: glibc keeps it unless it is told to."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)
