from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.file_names import bar_from_name, key_from_name, tempo_from_name


@pytest.mark.parametrize(
    ("stem", "bpm"),
    [
        ("loop_128bpm", 128),
        ("128 BPM", 128),
        ("128.5bpm", 128.5),
        ("groove 128,25 bpm F#m", 128.25),
        ("bpm128", 128),
        ("loop-090-bpm", 90),
        ("Song_bpm_174", 174),
        ("Bass BPM=99 v2", 99),
        ("_128bpm_F#m", 128),
        ("Kick128bpm", 128),
        ("128Bpm_64", 128),
        ("Take_01_bpm_128", 128),
        ("v1.2_128bpm", 128),
        ("Bässe_85bpm_tief", 85),
        ("20bpm", 20),
        ("400bpm", 400),
        ("100bpm to 128bpm", 100),
    ],
)
def test_a_tempo_in_the_name(stem: str, bpm: float) -> None:
    assert tempo_from_name(stem) == bpm


@pytest.mark.parametrize(
    "stem",
    [
        "", "128", "loop_128", "abpm", "bpm", "abpm128", "128bpmix", "128 bpms", "19bpm", "401bpm", "bpm19",
        "1280bpm", "bpm1280", "0bpm", "take 3", "2024-05-01",
        "128_loop_bpm", "bpm_loop_128", "Ébpm 128", "٣٣bpm",
    ],
)  # fmt: skip
def test_no_tempo_in_the_name(stem: str) -> None:
    assert tempo_from_name(stem) is None


@given(st.text())
def test_any_name_is_safe(stem: str) -> None:
    bpm = tempo_from_name(stem)
    assert bpm is None or 20 <= bpm <= 400
    key_from_name(stem)
    bar_from_name(stem)


@given(st.from_regex(r"_[A-G][#b♯♭]?[ _-]?(?i:minor|major|min|maj|moll|dur)_128bpm", fullmatch=True))
def test_every_spelling_of_a_mode_is_read(stem: str) -> None:
    key = key_from_name(stem)
    assert key is not None
    major = "maj" in stem.lower() or "dur" in stem.lower()
    assert (key.spelling[0], key.mode) == (stem[1], "major" if major else "minor")


@pytest.mark.parametrize(
    ("stem", "key"),
    [
        ("loop_128bpm_F#m", "F# minor"),
        ("Pad Bb 90bpm", "Bb major"),
        ("x_Am", "A minor"),
        ("x_Cmaj_", "C major"),
        ("x C minor 128 BPM", "C minor"),
        ("Loop (Ebm)", "Eb minor"),
        ("G_minor_x", "G minor"),
        ("x_C-major", "C major"),
        ("Bm", "B minor"),
        ("Song_C Minor_120bpm", "C minor"),
        ("x_AMaj", "A major"),
        ("Bb_Major", "Bb major"),
        ("x_F#MIN", "F# minor"),
        ("x_E-Dur", "E major"),
        ("x_a moll", None),
        ("Amaj7_x", None),
        ("Who I Am", None),
        ("Who I Am_128bpm", None),
        ("Pad Bb", None),
        ("Take A_1", None),
        ("Bass_D", None),
        ("Cmd_x", None),
    ],
)
def test_the_key_in_a_name(stem: str, key: str | None) -> None:
    found = key_from_name(stem)
    assert (found.name if found else None) == key


@pytest.mark.parametrize(
    ("stem", "bar"),
    [
        ("song_bar17_x", 17),
        ("Bars 17-24", 17),
        ("chorus Bar_9", 9),
        ("bar-3", 3),
        ("rebar17", None),
        ("bar0", None),
        ("bar", None),
        ("bars and stripes", None),
        ("bar12345", None),
    ],
)
def test_the_bar_in_a_name(stem: str, bar: int | None) -> None:
    assert bar_from_name(stem) == bar
