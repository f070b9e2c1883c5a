"""A rehearsal's results that are new: tunes in the place of songs and speech, plain words, a picture."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bridge.engine import synth
from bridge.engine.rehearsal_audio import RATE_HZ, Blocks, Job, Row, between, read, written
from bridge.media.notes import Note
from bridge.media.raw_pcm import Samples

TAKE_S = 8.0
WORDS_A_SECOND = 2.5


def _tune(seconds: float, transpose: int) -> Samples:
    """A short tune: (frames, 1) float32 at `RATE_HZ`."""
    loop, loop_s = synth.demo_loop()
    notes: list[Note] = []
    for round_ in range(math.ceil(seconds / loop_s)):
        for note in loop:
            pitch, later = note.pitch + transpose, round_ * loop_s
            notes.append(replace(note, start_s=note.start_s + later, end_s=note.end_s + later, pitch=pitch))
    return synth.render(notes, rate_hz=RATE_HZ, duration_s=seconds)[:, np.newaxis]


def _like(sound: Samples, block: Samples) -> Samples:
    """`sound` with as many channels as `block`."""
    return np.repeat(sound, block.shape[1], axis=1)


def _take(job: Job, number: int) -> Blocks:
    """What a music maker gives: of a source whatever is kept of it, and a tune."""
    tune, asked = _tune(TAKE_S, 5 * (number - 1)), job.parameters
    if "extend_after" in asked:
        last = np.zeros((0, 1), np.float32)
        for last in between(read(job), 0, round(asked["extend_after"] * RATE_HZ)):
            yield last
        yield _like(tune, last)
    elif "replace_start_at" in asked:
        yield from _replaced(job, tune)
    elif job.source is not None and job.conversion.startswith("sing_over"):
        at = 0
        for block in read(job):
            part = tune[at : at + len(block)]
            mixed = 0.7 * block
            mixed[: len(part)] += 0.3 * part
            yield mixed
            at += len(block)
    else:
        yield tune


def _replaced(job: Job, tune: Samples) -> Blocks:
    """The source, with the tune from one time to another."""
    first, last = (round(job.parameters[f"replace_{side}_at"] * RATE_HZ) for side in ("start", "end"))
    at = 0
    for block in read(job):
        inside = slice(max(0, first - at), max(0, last - at))
        wanted = np.arange(at, at + len(block))[inside]
        mixed = block.copy()
        mixed[inside] = tune[(wanted - first) % len(tune)]
        yield mixed
        at += len(block)


def song(job: Job) -> list[Row]:
    """The takes that were asked for, as MP3 and WAV, with their words; a cover if that was wanted."""
    rows: list[Row] = []
    for number in range(1, int(job.parameters.get("num_outputs") or 2) + 1):
        row = written(job, f"take_{number}", _take(job, number))
        written(job, f"take_{number}", _take(job, number), suffix="wav")
        lines = _lyrics(job).splitlines()
        rows += [
            {**row, "wav": f"take_{number}.wav"},
            {"role": f"lyrics_{number}", "text": "\n".join(lines)},
        ]
        if job.parameters.get("lyrics_timestamps", True):
            rows.append({"role": f"lyrics_times_{number}", "data": _timed(lines, row["seconds"])})
    if job.parameters.get("generate_album_cover", job.conversion == "image_to_song"):
        rows.append(_picture(job, "cover", 64, 64))
    return rows


def _lyrics(job: Job) -> str:
    if job.parameters.get("make_instrumental"):
        return ""
    theme = " ".join(str(job.parameters.get("prompt") or "a rehearsal").split()[:6])
    return str(job.parameters.get("lyrics") or f"A song about {theme}\nWe sing it once, we sing it twice\n")


def _timed(lines: Sequence[str], seconds: float) -> list[Row]:
    """When each line is sung, in milliseconds."""
    each = 1000 * seconds / max(1, len(lines))
    return [
        {"start": round(each * number), "end": round(each * (number + 1)), "text": line, "index": number}
        for number, line in enumerate(lines)
    ]


def speech(job: Job) -> list[Row]:
    """As many syllables as the text has words, at the pace of speech."""
    words = str(job.parameters.get("text") or "").split()[:1000] or [""]
    notes = [
        Note(
            number / WORDS_A_SECOND,
            (number + 0.8) / WORDS_A_SECOND,
            48 + len(word) % 8,
            min(127, 80 + len(word)),
        )
        for number, word in enumerate(words)
    ]
    return [written(job, "speech", iter([synth.render(notes, rate_hz=RATE_HZ)[:, np.newaxis]]))]


def sound(job: Job) -> list[Row]:
    seconds = float(job.parameters.get("audio_length") or 5)
    rows = [written(job, "sound", iter([_tune(seconds, -12)]))]
    if job.parameters.get("generate_album_cover"):
        rows.append(_picture(job, "cover", 64, 64))
    return rows


def words_of_a_song(job: Job) -> list[Row]:
    return [{"role": "lyrics", "text": _lyrics(job)}]


# Words and numbers


def transcript(job: Job) -> list[Row]:
    frames = sum(len(block) for block in read(job))
    seconds = frames / RATE_HZ
    words = ["these", "words", "stand", "in", "for", "what", "is", "sung"]
    text, asked = " ".join(words), job.parameters
    rows: list[Row] = [
        {"role": "transcript", "text": _in_form(text, seconds, asked.get("transcription_format"))},
        {"role": "language", "text": str(asked.get("language") or "en")},
    ]
    if asked.get("translate"):
        rows.append({"role": "translation", "text": text})
    if asked.get("word_timestamps"):
        rows.append({"role": "words", "data": _timed(words, seconds)})
    return rows


def _in_form(text: str, seconds: float, form: str | None) -> str:
    if form == "srt":
        return f"1\n{_clock(0)},000 --> {_clock(seconds)},000\n{text}\n"
    if form == "vtt":
        return f"WEBVTT\n\n{_clock(0)}.000 --> {_clock(seconds)}.000\n{text}\n"
    return f"{text.capitalize()}." if form == "formatted_text" else text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def key_and_tempo(job: Job) -> list[Row]:
    seconds = math.ceil(sum(len(block) for block in read(job)) / RATE_HZ)
    return [
        {"role": "bpm", "data": 120},
        {"role": "key", "text": "A minor"},
        {"role": "key_changes", "data": {f"0-{seconds}": ["A minor"]}},
    ]


# Pictures


def _picture(job: Job, role: str, width: int, height: int) -> Row:
    """A gradient as a PNG (Portable Network Graphics, third edition: IHDR, IDAT, IEND)."""
    across = np.linspace(0, 255, width, dtype=np.uint8)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = across, across[::-1]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    (job.folder / f"{role}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return {"role": role, "file": f"{role}.png"}


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def image(job: Job) -> list[Row]:
    width, height = (max(16, min(4096, int(job.parameters.get(side) or 512))) for side in ("width", "height"))
    return [_picture(job, "image", width, height)]
