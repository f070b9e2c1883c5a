"""What comes back lies on its bounce: to the sample, as long, in its rate and depth, chunks kept."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from bridge.engine import fitting
from bridge.errors import AudioError, Cancelled
from bridge.media import whole_files
from bridge.media.wav_chunks import read_chunks
from support.returned_sets import (
    BOUNCE_HZ,
    HAS_LAME,
    SERVICE_HZ,
    Sound,
    bounce,
    by_lame,
    lag,
    parts,
    returned,
    with_bext,
)

NEEDS_LAME = pytest.mark.skipif(not HAS_LAME, reason="ffmpeg is not on this machine")
STEMS = parts(4.0)

Make = Callable[[Path, Sound], Path]

WAYS_BACK: Mapping[str, tuple[Make, int, bool]] = {
    "tagged": (returned, 0, True),
    "late by 1105": (lambda path, stem: returned(path, stem, delay=1105, spare=700), 1105, True),
    "late by 2257": (lambda path, stem: returned(path, stem, delay=2257), 2257, True),
    "late by much": (lambda path, stem: returned(path, stem, delay=20_011), 20_011, True),
    "begun too late": (lambda path, stem: returned(path, stem, delay=-9, spare=30_000), -9, True),
    "shorter": (lambda path, stem: returned(path, stem[: round(2.5 * BOUNCE_HZ)], delay=40), 40, True),
    "quieter": (lambda path, stem: returned(path, 0.03 * stem, delay=1105), 1105, True),
    "vorbis": (lambda path, stem: returned(path.with_suffix(".ogg"), stem, delay=333), 333, True),
    "wav": (lambda path, stem: returned(path.with_suffix(".wav"), stem, delay=17), 17, False),
    "same rate": (
        lambda path, stem: returned(path, stem, service_hz=BOUNCE_HZ, delay=1105),
        1105,
        True,
    ),
}
BY_LAME: Mapping[str, tuple[Make, int, bool]] = {
    "lame, tagged": (lambda path, stem: by_lame(path, stem, with_tag=True), 0, True),
    "lame, no tag": (lambda path, stem: by_lame(path, stem, with_tag=False), 1105, True),
    "lame, 96 kbit/s": (
        lambda path, stem: by_lame(path, stem, with_tag=False, more=("-b:a", "96k")),
        1105,
        True,
    ),
    "lame, variable": (
        lambda path, stem: by_lame(path, stem, with_tag=False, more=("-q:a", "4")),
        576,
        True,
    ),
}

ALSO_QUICKLY = frozenset({"late by 1105", "wav"})


def fit(folder: Path, files: Mapping[str, Path], source: Path | None, **options: Any) -> dict[str, Any]:
    """The rows by role, of files that are laid onto the source (or as `way` says)."""
    way = options.pop("way", "source")
    raws = [
        {"role": role, "path": str(path), "media_type": "audio/mpeg", "fit": way}
        for role, path in files.items()
    ]
    settings: dict[str, Any] = {
        "was_trimmed": False,
        "why": "",
        "check": lambda: None,
        "progress": lambda *_: None,
    } | options
    return {row["role"]: row for row in fitting.fit(raws, folder, source=source, **settings)}


def sound_of(path: Path) -> Sound:
    sound: Sound = sf.read(path, always_2d=True)[0]
    return sound


def sent_and_back(folder: Path, make: Make, stems: Mapping[str, Sound]) -> tuple[Path, dict[str, Path]]:
    source = bounce(folder, stems)
    return source, {name: make(folder / f"{name}-back.mp3", stem) for name, stem in stems.items()}


def _marks(way: str) -> list[pytest.MarkDecorator]:
    return [] if way in ALSO_QUICKLY else [pytest.mark.slow]


# --- onto the bounce ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "offset", "lossy"),
    [
        *(pytest.param(*case, id=name, marks=_marks(name)) for name, case in WAYS_BACK.items()),
        *(pytest.param(*case, id=name, marks=[NEEDS_LAME, *_marks(name)]) for name, case in BY_LAME.items()),
    ],
)
def test_every_stem_lies_on_its_sample_with_the_bounces_length(
    tmp_path: Path, make: Make, offset: int, *, lossy: bool
) -> None:
    source, files = sent_and_back(tmp_path, make, STEMS)
    with_bext(source, time_reference=123_456)
    rows = fit(tmp_path, files, source)
    for name, stem in STEMS.items():
        path = tmp_path / rows[name]["file"]
        placed = sound_of(path)
        assert lag(placed, stem) == 0, name
        assert placed.shape == stem.shape
        found = sf.info(path)
        assert (found.format, found.subtype, found.samplerate) == ("WAV", "PCM_24", BOUNCE_HZ)
        bext = read_chunks(path).bext
        assert bext is not None
        assert bext.time_reference == 123_456
        about = rows[name]["about"]
        assert about["offset_frames"] == offset
        assert about["lossy"] is lossy
        assert about["came_as"].split(", ")[1:] == [f"{sf.info(files[name]).samplerate} Hz", "2 channels"]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STEMS))
@pytest.mark.parametrize("make", [WAYS_BACK["tagged"][0], WAYS_BACK["late by 1105"][0]])
def test_a_stem_alone_is_found_too(tmp_path: Path, make: Make, name: str) -> None:
    source, files = sent_and_back(tmp_path, make, STEMS)
    row = fit(tmp_path, {name: files[name]}, source)[name]
    assert lag(sound_of(tmp_path / row["file"]), STEMS[name]) == 0
    assert row["about"]["placed_by"] == "itself"
    assert row["about"]["note"] == "from a 44.1 kHz MP3"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STEMS))
def test_a_stem_30_db_below_the_mix_is_found(tmp_path: Path, name: str) -> None:
    stems = {**STEMS, name: STEMS[name] * 10 ** (-30 / 20)}
    source, files = sent_and_back(tmp_path, WAYS_BACK["late by 1105"][0], stems)
    row = fit(tmp_path, {name: files[name]}, source)[name]
    assert lag(sound_of(tmp_path / row["file"]), stems[name]) == 0


def test_polarity_and_level_stay(tmp_path: Path) -> None:
    stem = -0.5 * STEMS["drums"]
    source = bounce(tmp_path, STEMS)
    back = returned(tmp_path / "back.wav", stem, service_hz=BOUNCE_HZ, delay=1105)
    row = fit(tmp_path, {"drums": back}, source)["drums"]
    np.testing.assert_allclose(sound_of(tmp_path / row["file"]), stem, atol=2**-15)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.0, 1e-6])
@pytest.mark.parametrize("delay", [0, 1105, 4000])
def test_a_stem_that_is_next_to_silent_goes_with_its_set(tmp_path: Path, level: float, delay: int) -> None:
    noise = level * np.random.default_rng(1).standard_normal(STEMS["bass"].shape)
    noise[70_000] = level * 50
    stems = {**STEMS, "horns": noise}
    source, files = sent_and_back(tmp_path, lambda path, stem: returned(path, stem, delay=delay), stems)
    about = fit(tmp_path, files, source)["horns"]["about"]
    assert (about["offset_frames"], about["placed_by"]) == (delay, "set")
    assert about["note"].endswith("placed like the others, as by itself it tells too little")


@pytest.mark.slow
def test_one_that_is_clearly_elsewhere_stands_at_its_own_place(tmp_path: Path) -> None:
    source = bounce(tmp_path, STEMS)
    files = {
        name: returned(tmp_path / f"{name}.mp3", STEMS[name], delay=delay)
        for name, delay in {"drums": 1105, "voice": 2257}.items()
    }
    rows = fit(tmp_path, files, source)
    assert {name: row["about"]["offset_frames"] for name, row in rows.items()} == {
        "drums": 1105,
        "voice": 2257,
    }


@NEEDS_LAME
def test_silence_alone_is_placed_by_what_its_file_tells(tmp_path: Path) -> None:
    source = bounce(tmp_path, STEMS)
    silence = np.zeros((4 * BOUNCE_HZ, 2))
    for with_tag, frames in ((True, 0), (False, 1105)):
        back = by_lame(tmp_path / f"{with_tag}.mp3", silence, with_tag=with_tag)
        about = fit(tmp_path, {"horns": back}, source)["horns"]["about"]
        assert (about["offset_frames"], about["placed_by"]) == (frames, "file")
        assert "begins where its file says" in about["note"]


def test_an_exact_loop_is_not_taken_for_itself_a_beat_later(tmp_path: Path) -> None:
    beat = parts(0.5)["drums"]
    loop = np.tile(beat, (8, 1))
    source = bounce(tmp_path, {"drums": loop})
    back = returned(tmp_path / "back.mp3", loop, delay=1105)
    assert fit(tmp_path, {"drums": back}, source)["drums"]["about"]["offset_frames"] == 1105


@pytest.mark.slow
@pytest.mark.parametrize("echo_s", [0.06, 0.3])
def test_an_echo_that_was_taken_away_stays_behind_the_sound(tmp_path: Path, echo_s: float) -> None:
    dry = STEMS["voice"] + STEMS["drums"]
    echo = 0.6 * np.roll(dry, round(echo_s * BOUNCE_HZ), axis=0)
    echo[: round(echo_s * BOUNCE_HZ)] = 0
    source = bounce(tmp_path, {"dry": dry, "echo": echo})
    files = {
        "removed": returned(tmp_path / "echo.mp3", echo, delay=1105),
        "clean": returned(tmp_path / "dry.mp3", dry, delay=1105),
    }
    rows = fit(tmp_path, files, source)
    assert [rows[role]["about"]["offset_frames"] for role in ("clean", "removed")] == [1105, 1105]
    assert lag(sound_of(tmp_path / rows["removed"]["file"]), echo) == 0


def test_one_hit_of_a_fifth_of_a_second(tmp_path: Path) -> None:
    hit = parts(0.5)["drums"][12_000:21_600]
    source = bounce(tmp_path, {"hit": hit})
    row = fit(tmp_path, {"hit": returned(tmp_path / "back.mp3", hit, delay=1105)}, source)["hit"]
    placed = sound_of(tmp_path / row["file"])
    assert (lag(placed, hit), placed.shape) == (0, hit.shape)


# --- channels, rates, containers ----------------------------------------------------------------------------


def test_one_channel_comes_back_for_two(tmp_path: Path) -> None:
    mono = STEMS["voice"].mean(axis=1, keepdims=True)
    source = bounce(tmp_path, STEMS)
    back = returned(tmp_path / "back.mp3", mono, delay=1105)
    row = fit(tmp_path, {"voice": back}, source)["voice"]
    placed = sound_of(tmp_path / row["file"])
    assert placed.shape == STEMS["voice"].shape
    assert lag(placed[:, :1], mono) == 0
    np.testing.assert_array_equal(placed[:, 0], placed[:, 1])


def test_two_channels_come_back_for_one(tmp_path: Path) -> None:
    stems = {name: stem.mean(axis=1, keepdims=True) for name, stem in STEMS.items()}
    source = bounce(tmp_path, stems)
    back = returned(tmp_path / "back.mp3", np.repeat(stems["voice"], 2, axis=1), delay=1105)
    row = fit(tmp_path, {"voice": back}, source)["voice"]
    placed = sound_of(tmp_path / row["file"])
    assert (placed.shape, lag(placed, stems["voice"])) == (stems["voice"].shape, 0)


def test_stereo_for_surround_stays_stereo(tmp_path: Path) -> None:
    wide = {name: np.repeat(stem, 3, axis=1) for name, stem in STEMS.items()}
    source = bounce(tmp_path, wide)
    back = returned(tmp_path / "back.mp3", STEMS["drums"], delay=1105)
    row = fit(tmp_path, {"drums": back}, source)["drums"]
    placed = sound_of(tmp_path / row["file"])
    assert (placed.shape, lag(placed, STEMS["drums"])) == (STEMS["drums"].shape, 0)


@pytest.mark.slow
@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 96_000])
def test_bounces_of_other_rates(tmp_path: Path, rate_hz: int) -> None:
    stems = parts(3.0, rate_hz=rate_hz)
    source = bounce(tmp_path, stems, rate_hz=rate_hz)
    files = {
        name: returned(tmp_path / f"{name}-back.mp3", stem, rate_hz=rate_hz, delay=1105)
        for name, stem in stems.items()
    }
    for name, row in fit(tmp_path, files, source).items():
        placed = sound_of(tmp_path / row["file"])
        assert (lag(placed, stems[name]), placed.shape) == (0, stems[name].shape), name


@pytest.mark.parametrize(
    ("name", "kind", "subtype", "made"),
    [
        ("a.flac", "FLAC", "PCM_16", ("FLAC", "PCM_16", ".flac", "audio/flac")),
        ("a.aif", "AIFF", "PCM_24", ("AIFF", "PCM_24", ".aif", "audio/aiff")),
        ("a.wav", "WAV", "FLOAT", ("WAV", "FLOAT", ".wav", "audio/wav")),
        ("a.mp3", "MP3", "MPEG_LAYER_III", ("WAV", "PCM_24", ".wav", "audio/wav")),
    ],
)
def test_the_container_is_the_bounces(
    tmp_path: Path, name: str, kind: str, subtype: str, made: tuple[str, str, str, str]
) -> None:
    source = tmp_path / name
    sf.write(source, sum(STEMS.values()), BOUNCE_HZ, format=kind, subtype=subtype)
    row = fit(tmp_path, {"drums": returned(tmp_path / "back.mp3", STEMS["drums"])}, source)["drums"]
    path = tmp_path / row["file"]
    found = sf.info(path)
    assert (found.format, found.subtype, path.suffix, row["media_type"]) == made
    assert lag(sound_of(path), STEMS["drums"]) == 0


def test_a_set_that_is_louder_than_full_scale_becomes_floats_and_says_so(tmp_path: Path) -> None:
    source = bounce(tmp_path, STEMS)
    loud = STEMS["drums"] / np.abs(STEMS["drums"]).max() * 1.3
    back = tmp_path / "back.wav"
    sf.write(back, loud, BOUNCE_HZ, subtype="FLOAT")
    row = fit(tmp_path, {"drums": back}, source)["drums"]
    assert sf.info(tmp_path / row["file"]).subtype == "FLOAT"
    assert row["about"]["note"] == "some samples exceed full scale, so 32-bit float was written"


# --- without a bounce ---------------------------------------------------------------------------------------


def test_without_its_source_a_result_begins_with_its_own_first_sound(tmp_path: Path) -> None:
    back = returned(tmp_path / "back.mp3", STEMS["drums"])
    row = fit(tmp_path, {"drums": back}, None, why="the bounce is gone")["drums"]
    found = sf.info(tmp_path / row["file"])
    assert (found.samplerate, found.subtype, found.frames) == (SERVICE_HZ, "PCM_24", 4 * SERVICE_HZ)
    assert row["about"]["note"] == "from a 44.1 kHz MP3, the bounce is gone"
    assert "offset_frames" not in row["about"]


def test_music_of_its_own_is_cut_by_what_its_encoder_tells(tmp_path: Path) -> None:
    files = {"take_1": returned(tmp_path / "1.mp3", STEMS["drums"]), "take_2": tmp_path / "2.wav"}
    sf.write(files["take_2"], STEMS["bass"], BOUNCE_HZ, subtype="PCM_16")
    rows = fit(tmp_path, files, tmp_path / "never looked at.wav", way="own")
    assert [row["file"] for row in rows.values()] == ["take_1.wav", "take_2.wav"]
    first, second = (sf.info(tmp_path / row["file"]) for row in rows.values())
    assert (first.samplerate, first.subtype, first.frames) == (SERVICE_HZ, "PCM_24", 4 * SERVICE_HZ)
    assert (second.samplerate, second.subtype) == (BOUNCE_HZ, "PCM_16")
    assert (tmp_path / "take_2.wav").read_bytes() == files["take_2"].read_bytes()
    assert rows["take_2"]["about"] == {"lossy": False, "came_as": f"WAV, {BOUNCE_HZ} Hz, 2 channels"}


def test_what_came_is_kept_beside(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    (folder / "original").mkdir(parents=True)
    inside = returned(folder / "original" / "drums.mp3", STEMS["drums"])
    outside = returned(tmp_path / "bass.mp3", STEMS["bass"])
    before = (inside.read_bytes(), outside.read_bytes())
    fit(folder, {"drums": inside, "bass": outside}, bounce(tmp_path, STEMS))
    assert (
        (folder / "original/drums.mp3").read_bytes(),
        (folder / "original/bass.mp3").read_bytes(),
    ) == before
    assert sorted(one.name for one in folder.iterdir()) == ["bass.wav", "drums.wav", "original"]


def test_files_as_they_are_and_names_that_clash(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    words = tmp_path / "words.json"
    words.write_text("[]", encoding="utf-8")
    raws = [
        {"role": role, "path": str(words), "media_type": "application/json", "fit": "as_is"}
        for role in ("words", "Words", "lead/back", "")
    ]
    rows = fitting.fit(
        raws, folder, source=None, was_trimmed=False, why="", check=lambda: None, progress=lambda *_: None
    )
    assert [row["file"] for row in rows] == ["words.json", "Words-2.json", "lead_back.json", "result.json"]
    assert [row["role"] for row in rows] == ["words", "Words", "lead/back", ""]
    assert all((folder / row["file"]).read_text(encoding="utf-8") == "[]" for row in rows)


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_a_result_that_is_no_audio_is_named(tmp_path: Path) -> None:
    page = tmp_path / "back.mp3"
    page.write_text("<html>log in</html>", encoding="utf-8")
    with pytest.raises(AudioError) as caught:
        fit(tmp_path, {"drums": page}, bounce(tmp_path, STEMS))
    assert caught.value.file == str(page)


@pytest.mark.slow
@pytest.mark.parametrize("after", [3, 20, 40])
def test_cancelling_leaves_only_what_came(tmp_path: Path, after: int) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    source, files = sent_and_back(tmp_path, WAYS_BACK["tagged"][0], STEMS)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Cancelled("cancelled.")

    with pytest.raises(Cancelled):
        fit(folder, files, source, check=check)
    assert [one.name for one in folder.iterdir()] == ["original"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "MOST_IN_MEMORY", 1 << 20)
    peaks = []
    for seconds in (120, 480):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        rate_hz = 8_000
        stem = 0.2 * np.random.default_rng(2).standard_normal((seconds * rate_hz, 1))
        source = bounce(folder, {"stem": np.clip(stem, -0.9, 0.9)}, rate_hz=rate_hz)
        back = folder / "back.wav"
        shutil.copyfile(source, back)
        tracemalloc.start()
        fit(folder, {"stem": back}, source)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
