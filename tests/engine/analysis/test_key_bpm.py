"""The conversion: a band that was made up is heard as it is, odd files do no harm, and nothing is fetched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from bridge.engine.analysis.key_bpm import extract_key_bpm
from bridge.engine.models import ModelStore
from bridge.errors import AudioError, Cancelled
from support.audio_jobs import audio_job

Samples = NDArray[np.float32]
RATE_HZ = 32_000
PROGRESSION = ((0, 3), (8, 4), (5, 3), (7, 4))  # i VI iv V

WITHOUT_NETWORK = """
import socket, sys
from pathlib import Path
def refuse(*_, **__):
    raise AssertionError("a socket was asked for")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
from support.audio_jobs import audio_job
from bridge.engine.analysis.key_bpm import extract_key_bpm
source, folder, model = map(Path, sys.argv[2:])
extract_key_bpm(audio_job("extract_key_bpm", source, folder, models={"beatnet": model}))
unwanted = {"madmom_infer", "madmom", "torch", "urllib3"} & {name.split(".")[0] for name in sys.modules}
assert not unwanted, unwanted
"""


@pytest.fixture(scope="module")
def model(models_folder: Path) -> Path:
    return ModelStore(models_folder).pull("beatnet", report=print)


def band(bpm: float, meter: int, tonic: int, *, bars: int, begins_s: float = 0.2) -> Samples:
    """(frames, 2): kick on the first, snare on the others, hats on eighths, and a chord a bar in minor."""
    rng = np.random.default_rng(7)
    beat_s = 60 / bpm
    sound = np.zeros((round((begins_s + bars * meter * beat_s + 0.5) * RATE_HZ), 2), np.float32)

    def add(at_s: float, one: NDArray[np.float64]) -> None:
        at = round((begins_s + at_s) * RATE_HZ)
        sound[at : at + len(one)] += one[: len(sound) - at, np.newaxis].astype(np.float32)

    time_s = np.arange(RATE_HZ // 4) / RATE_HZ
    kick = np.sin(2 * np.pi * 55 * time_s + 6 * (1 - np.exp(-40 * time_s))) * np.exp(-18 * time_s)
    hat = rng.normal(0, 1, len(time_s)) * np.exp(-90 * time_s)
    snare = rng.normal(0, 1, len(time_s)) * np.exp(-25 * time_s)
    chord_s = np.arange(round(meter * beat_s * RATE_HZ)) / RATE_HZ
    for bar in range(bars):
        step, third = PROGRESSION[bar % 4]
        pitches = (36 + (tonic + step) % 12, *(60 + (tonic + step + up) % 12 for up in (0, third, 7)))
        for hz in (440 * 2 ** ((pitch - 69) / 12) for pitch in pitches):
            tones = sum(np.sin(2 * np.pi * n * hz * chord_s) / n**1.5 for n in range(1, 5))
            add(bar * meter * beat_s, 0.06 * np.asarray(tones) * np.exp(-0.7 * chord_s))
        for beat in range(meter):
            at_s = (bar * meter + beat) * beat_s
            add(at_s, 0.5 * kick if beat == 0 else 0.2 * snare)
            add(at_s, 0.06 * hat)
            add(at_s + beat_s / 2, 0.05 * hat)
    return sound


def analysed(model: Path, source: Path, folder: Path, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    job = audio_job("extract_key_bpm", source, folder, models={"beatnet": model}, **more)
    (row,) = extract_key_bpm(job)
    assert (row["role"], row["file"], row["media_type"]) == ("key_bpm", "key_bpm.json", "application/json")
    data: dict[str, Any] = json.loads((folder / row["file"]).read_text(encoding="utf-8"))
    return row["about"], data


@pytest.mark.parametrize(
    ("bpm", "meter", "tonic", "key"), [(97.0, 4, 9, "A minor"), (141.5, 3, 2, "D minor")]
)
def test_hears_a_band_as_it_is(
    model: Path, tmp_path: Path, bpm: float, meter: int, tonic: int, key: str
) -> None:
    source = tmp_path / "band.wav"
    sf.write(source, band(bpm, meter, tonic, bars=12), RATE_HZ)
    told: list[float] = []
    about, data = analysed(model, source, tmp_path / "out", progress=lambda part, _: told.append(part))
    assert data["bpm"] == pytest.approx(bpm, rel=0.005)
    assert (data["key"], data["meter"], data["is_steady"]) == (key, f"{meter}/4", True)
    assert min(data[f"{name}_confidence"] for name in ("bpm", "key", "meter")) > 0.5
    assert data["tempo_changes"] == []
    bars_s = 0.2 + np.arange(13) * meter * 60 / bpm
    near = np.abs(np.array(data["downbeats"])[:, np.newaxis] - bars_s).min(axis=1)
    assert len(data["downbeats"]) == pytest.approx(12, abs=1)
    assert near.max() < 0.04
    assert set(data["downbeats"]) < set(data["beats"])
    assert data["keys"][0]["key"] == key
    assert list(data["key_changes"].values()) == [[key]]
    assert about["note"] == f"{data['bpm']:.1f} BPM, {meter}/4, {key}"
    assert about == {"note": about["note"], "quality": "good"} | {n: data[n] for n in ("bpm", "key", "meter")}
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize(
    ("kind", "rate_hz"),
    [("silence", 8_000), ("one frame", 44_100), ("noise", 22_050), ("no numbers", 22_050)],
)
def test_makes_nothing_up(model: Path, tmp_path: Path, kind: str, rate_hz: int) -> None:
    sound = {
        "silence": np.zeros((6 * rate_hz, 2)),
        "one frame": np.full((1, 1), 0.5),
        "noise": np.random.default_rng(1).normal(0, 0.1, (8 * rate_hz, 1)),
        "no numbers": np.full((3 * rate_hz, 1), np.nan),
    }[kind]
    source = tmp_path / "odd.wav"
    sf.write(source, sound, rate_hz, subtype="FLOAT")
    about, data = analysed(model, source, tmp_path / "out")
    assert (data["bpm"], data["key"], data["meter"], data["beats"], data["key_changes"]) == (
        None,
        None,
        None,
        [],
        {},
    )
    assert about["note"] == "no clear beat, no clear key"
    assert len(data["notes"]) == 2


def test_a_file_that_is_no_sound_is_said(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "words.wav"
    source.write_text("nothing to hear here")
    with pytest.raises(AudioError, match=r"words\.wav"):
        analysed(model, source, tmp_path / "out")


def test_can_be_cancelled_everywhere(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "band.wav"
    sf.write(source, band(120, 4, 0, bars=4), RATE_HZ)
    asked = 0

    def count() -> None:
        nonlocal asked
        asked += 1

    analysed(model, source, tmp_path / "out", check=count)
    for stop in (1, asked // 2, asked):
        left = stop

        def check() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Cancelled("enough")

        with pytest.raises(Cancelled):
            analysed(model, source, tmp_path / f"out-{stop}", check=check)


def test_needs_no_network_and_no_other_program(model: Path, tmp_path: Path) -> None:
    """madmom-infer would fetch weights that not everybody may use: neither it nor a socket is touched."""
    source = tmp_path / "band.wav"
    sf.write(source, band(120, 4, 0, bars=2), RATE_HZ)
    words = [
        sys.executable,
        "-c",
        WITHOUT_NETWORK,
        str(Path(__file__).parents[2]),
        str(source),
        str(tmp_path / "out"),
        str(model),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
