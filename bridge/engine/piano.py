"""Piano to notes at the best quality: transkun's network on overlapping windows, its intervals decoded here.

The network was trained on recordings of concert grands with what the keys and the pedal really did, so a note
ends where its key went up, and the pedal is told apart: together they sound as they were heard.

A window has 16 s, the next one begins 14 s later. Memory is bounded: a window's worth of sound and of
activations, whatever the length of the piece.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.piano_hearing import FRAME_S, FRAMES, HOP, RATE_HZ, SOUND_SAMPLES, PianoNetwork
from bridge.engine.piano_stitching import Event, Span, Stitching
from bridge.engine.semi_crf import best_intervals
from bridge.media.audio_files import expected_samples, read_mono
from bridge.media.notes import Note, Transcription

LINES = 90  # sustain pedal, soft pedal, 88 keys
SUSTAIN_LINE, KEY_LINES, LOWEST_KEY = 0, 2, 21
STEP_FRAMES = 603  # 14.0 s
LEAD_FRAMES = 43  # silence put in front, so that a note at the very beginning has an onset
# The network would rather miss a note than invent one: this much on top balances the two. Chosen on rendered
# pianos, on a flat optimum from 0.5 to 2.
LENIENCE = np.full(LINES, 1.0, np.float32)
LENIENCE[:KEY_LINES] = 0
SHORTEST_NOTE_S = 0.01
CHECK_EVERY_S = 0.2

Samples = NDArray[np.float32]
Check = Callable[[], None]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Window:
    """(channels, samples) at 44.1 kHz, and where they lie."""

    sound: Samples
    span: Span


def transcribe(source: Path, *, model: Path, threads: int, progress: Progress, check: Check) -> Transcription:
    """The notes and the sustain pedal in an audio file of a piano. `model` is the graph in the models folder.

    `check` is called about five times a second and may raise to cancel. Velocities are the network's, for a
    concert grand; a note's confidence is the chance of its interval against silence.
    Raises AudioError for a file that cannot be read and ModelError for a model that is not one.
    """
    network = PianoNetwork(model, threads=threads)
    expected = expected_samples(source, RATE_HZ)
    samples = 0

    def counted() -> Iterator[Samples]:
        nonlocal samples
        for block in read_mono(source, rate_hz=RATE_HZ, check=check):
            samples += len(block)
            yield block[np.newaxis]

    stitching = Stitching(LINES)
    progress(0.0, "listening to the piano")
    with ThreadPoolExecutor(1, thread_name_prefix="piano") as pool:
        for window in windows(counted()):
            _hear(network, window, stitching, pool, check)
            done = (window.span.first - LEAD_FRAMES) * HOP + SOUND_SAMPLES
            share = done / expected if expected else done / (done + 60 * RATE_HZ)
            progress(min(share, 1.0), "listening to the piano")
    return as_transcription(stitching.finish(), duration_s=samples / RATE_HZ)


def _hear(
    network: PianoNetwork, window: Window, stitching: Stitching, pool: ThreadPoolExecutor, check: Check
) -> None:
    check()
    heard = _patiently(pool.submit(network.hear, window.sound), network, check)
    found = best_intervals(heard.single, heard.pairs, stitching.begin(window.span), lenience=LENIENCE)
    stitching.take(window.span, found, network.details(heard, found))


def _patiently(work: Future[Any], network: PianoNetwork, check: Check) -> Any:
    """The result of `work`, with `check` called while it is awaited; if that raises, the work is stopped."""
    while True:
        try:
            return work.result(timeout=CHECK_EVERY_S)
        except NotYet:
            pass
        try:
            check()
        except BaseException:
            network.stop()
            raise


def windows(blocks: Iterable[Samples]) -> Iterator[Window]:
    """Windows of 16 s over blocks of (channels, samples), a second of silence put in front of the whole.

    Each begins `STEP_FRAMES` after the one before, but for the last, which ends with the sound. A short piece
    is one window, filled with silence.
    """
    parts: list[Samples] = []
    held = LEAD_FRAMES * HOP
    span = Span(0)
    step = STEP_FRAMES * HOP
    for block in blocks:
        parts = parts or [np.zeros((len(block), held), np.float32)]
        parts.append(block)
        held += block.shape[1]
        if held > SOUND_SAMPLES + step:
            waiting = np.concatenate(parts, axis=1)
            while waiting.shape[1] > SOUND_SAMPLES + step:
                yield Window(waiting[:, :SOUND_SAMPLES], span := _before(span, STEP_FRAMES))
                waiting, span = waiting[:, step:], _after(span)
            parts, held = [waiting.copy()], waiting.shape[1]
    if parts:
        yield from _last_windows(np.concatenate(parts, axis=1), span)


def _last_windows(waiting: Samples, span: Span) -> Iterator[Window]:
    step_frames = -(-(waiting.shape[1] - SOUND_SAMPLES) // HOP)
    if step_frames > 0:
        yield Window(waiting[:, :SOUND_SAMPLES], span := _before(span, step_frames))
        waiting, span = waiting[:, step_frames * HOP :], _after(span)
    yield Window(np.pad(waiting, ((0, 0), (0, SOUND_SAMPLES - waiting.shape[1]))), span)


def _before(span: Span, step_frames: int) -> Span:
    """`span` as one that is followed by another. The seam is in the middle of what they share."""
    following = span.first + step_frames
    return replace(span, seam=following + (FRAMES - step_frames) // 2, next_first=following)


def _after(span: Span) -> Span:
    assert span.next_first is not None
    assert span.seam is not None
    return Span(span.next_first, own=span.seam)


def as_transcription(events: Iterable[Event], *, duration_s: float) -> Transcription:
    """Events on the windows' frames as notes and pedal in seconds of the audio."""
    notes, sustain = [], []
    for event in events:
        start_s = max((event.start - LEAD_FRAMES) * FRAME_S, 0.0)
        end_s = min((event.end - LEAD_FRAMES) * FRAME_S, duration_s)
        if end_s <= start_s:
            continue
        if event.line == SUSTAIN_LINE:
            sustain.append((start_s, end_s))
        elif event.line >= KEY_LINES:
            notes.append(_note(event, start_s, end_s, duration_s))
    notes.sort(key=lambda note: (note.start_s, note.pitch))
    return Transcription(notes=tuple(notes), duration_s=duration_s, sustain=tuple(sustain))


def _note(event: Event, start_s: float, end_s: float, duration_s: float) -> Note:
    end_s = min(max(end_s, start_s + SHORTEST_NOTE_S), max(duration_s, start_s))
    confidence = 1 / (1 + math.exp(-event.score))
    return Note(start_s, end_s, event.line - KEY_LINES + LOWEST_KEY, event.velocity, confidence)
