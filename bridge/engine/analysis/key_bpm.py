"""The local `extract_key_bpm`: key, tempo, beats, bars and meter of a file, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from bridge.engine.analysis.beat_activation import BeatListener
from bridge.engine.analysis.chroma import RATE_HZ, PitchClassListener
from bridge.engine.analysis.keys import HeardKey, keys_of
from bridge.engine.analysis.rhythm import Rhythm, rhythm_of
from bridge.engine.analysis.tempo import Stretch, of_a_loop
from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.fitting_passes import laid
from bridge.media.audio_files import expected_samples

MODEL: Final = "beatnet"
FILE: Final = "key_bpm.json"
PIECE_FRAMES: Final = RATE_HZ
"""What is worked on between two looks at whether the job is cancelled."""
HEARING_SHARE: Final = 0.8
LEAST_TEMPO_CONFIDENCE: Final = 0.1
LEAST_KEY_CONFIDENCE: Final = 0.2


def extract_key_bpm(job: AudioJob) -> list[Row]:
    """One row, `key_bpm`: what is heard of key and tempo; null where nothing is. Raises AudioError."""
    pitches, beats, duration_s = _listened(job.stage(0.0, HEARING_SHARE))
    job.progress(HEARING_SHARE, "finding the key")
    keys = keys_of(pitches.finish(), job.check)
    job.progress(0.85, "finding the beats")
    rhythm = rhythm_of(beats.finish(), job.check)
    data = as_json(rhythm, keys, duration_s)
    (job.folder / FILE).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    job.progress(1.0, "done")
    values = {name: data[name] for name in ("bpm", "key", "meter")}
    about = {"note": words_of(data), "quality": "good"} | values
    return [{"role": "key_bpm", "file": FILE, "media_type": "application/json", "about": about}]


def _listened(job: AudioJob) -> tuple[PitchClassListener, BeatListener, float]:
    """Both listeners after one pass over the file, and how many seconds it lasts."""
    pitches, beats = PitchClassListener(), BeatListener(job.models[MODEL], job.threads)
    expected = expected_samples(job.source, RATE_HZ)
    heard = 0
    for block in laid(job.source, job.check, rate_hz=RATE_HZ, channels=1):
        mono = np.nan_to_num(block[:, 0], nan=0.0, posinf=0.0, neginf=0.0)
        for first in range(0, len(mono), PIECE_FRAMES):
            job.check()
            piece = mono[first : first + PIECE_FRAMES]
            pitches.hear(piece)
            beats.hear(piece)
        heard += len(mono)
        if expected:
            job.progress(min(1.0, heard / expected), "listening")
    return pitches, beats, heard / RATE_HZ


def as_json(rhythm: Rhythm | None, keys: Sequence[HeardKey], duration_s: float) -> dict[str, Any]:
    """What is written. `bpm`, `key` and `key_changes` are as MusicGPT's, but null where nothing is heard."""
    keys = keys if keys and _dominant(keys, duration_s).confidence >= LEAST_KEY_CONFIDENCE else ()
    main = _dominant(keys, duration_s) if keys else None
    if rhythm is not None and rhythm.bpm_confidence < LEAST_TEMPO_CONFIDENCE:
        rhythm = None
    return {
        "bpm": round(_bpm(rhythm, duration_s), 2) if rhythm else None,
        "bpm_confidence": round(rhythm.bpm_confidence, 3) if rhythm else 0.0,
        "is_steady": rhythm.is_steady if rhythm else None,
        "key": main.key.name if main else None,
        "key_confidence": round(main.confidence, 3) if main else 0.0,
        "key_changes": _spans(keys, duration_s),
        "keys": [
            {"start_s": round(one.start_s, 2), "key": one.key.name, "confidence": round(one.confidence, 3)}
            for one in keys
        ],
        "meter": rhythm.meter if rhythm else None,
        "meter_confidence": round(rhythm.meter_confidence, 3) if rhythm else 0.0,
        "beats": [round(float(at), 3) for at in rhythm.beats_s] if rhythm else [],
        "downbeats": [round(float(at), 3) for at in rhythm.downbeats_s] if rhythm else [],
        "tempo_changes": _tempo_changes(rhythm) if rhythm else [],
        "duration_s": round(duration_s, 3),
        "notes": _remarks(rhythm, keys),
    }


def _bpm(rhythm: Rhythm, duration_s: float) -> float:
    if not rhythm.is_steady:
        return rhythm.bpm
    upper, lower = map(int, rhythm.meter.split("/"))
    return of_a_loop(rhythm.bpm, 4 * upper / lower, duration_s)


def words_of(data: dict[str, Any]) -> str:
    """`120.0 BPM, 4/4, A minor`."""
    tempo = "no clear beat" if data["bpm"] is None else f"{data['bpm']:.1f} BPM, {data['meter']}"
    return f"{tempo}, {data['key'] or 'no clear key'}"


def _dominant(keys: Sequence[HeardKey], duration_s: float) -> HeardKey:
    """The key that sounds longest in all, where it is surest."""
    lasts: dict[str, float] = {}
    for one, end_s in zip(keys, _ends(keys, duration_s), strict=True):
        lasts[one.key.name] = lasts.get(one.key.name, 0.0) + end_s - one.start_s
    longest = max(lasts, key=lambda name: lasts[name])
    return max((one for one in keys if one.key.name == longest), key=lambda one: one.confidence)


def _ends(keys: Sequence[HeardKey], duration_s: float) -> list[float]:
    return [*(one.start_s for one in keys[1:]), duration_s]


def _spans(keys: Sequence[HeardKey], duration_s: float) -> dict[str, list[str]]:
    """As MusicGPT writes it: `{"0-62": ["A minor"]}`, whole seconds."""
    ends = _ends(keys, duration_s) if keys else []
    return {
        f"{math.floor(one.start_s)}-{math.ceil(end_s) if end_s == duration_s else math.floor(end_s)}": [
            one.key.name
        ]
        for one, end_s in zip(keys, ends, strict=True)
    }


def _tempo_changes(rhythm: Rhythm) -> list[dict[str, float]]:
    """Each stretch with its tempo; empty where there is only one."""

    def told(one: Stretch) -> dict[str, float]:
        return {"start_s": round(float(rhythm.beats_s[one.first]), 3), "bpm": round(rhythm.bpm_of(one), 2)}

    return [told(one) for one in rhythm.stretches] if len(rhythm.stretches) > 1 else []


def _remarks(rhythm: Rhythm | None, keys: Sequence[HeardKey]) -> list[str]:
    missing = [] if rhythm else ["No clear beat is heard: there is no tempo and no meter."]
    return missing + ([] if keys else ["No clear key is heard."])
