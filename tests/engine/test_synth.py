"""The synthesiser: right pitches, right times, nothing above full scale, always the same."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.engine import synth
from bridge.media.notes import Note

RATE_HZ = 44_100


def test_no_notes_are_silence() -> None:
    assert len(synth.render([], rate_hz=RATE_HZ)) == 0
    silence = synth.render([], rate_hz=RATE_HZ, duration_s=0.5)
    assert silence.shape == (RATE_HZ // 2,)
    assert not silence.any()


def test_length_is_the_asked_one_or_the_last_release() -> None:
    note = Note(0.5, 1.0, 60, 100, 1.0)
    sound = synth.render([note], rate_hz=RATE_HZ)
    assert sound.dtype == np.float32
    assert len(sound) == round((1.0 + synth.RELEASE_S) * RATE_HZ)
    assert len(synth.render([note], rate_hz=RATE_HZ, duration_s=0.75)) == round(0.75 * RATE_HZ)
    assert not synth.render([note], rate_hz=RATE_HZ, duration_s=0.25).any()


def test_a_note_sounds_from_its_start_to_its_release_and_no_longer() -> None:
    sound = synth.render([Note(0.5, 1.0, 69, 100, 1.0)], rate_hz=RATE_HZ, duration_s=2.0)
    sounding = np.nonzero(np.abs(sound) > 1e-4)[0] / RATE_HZ
    assert 0.5 <= sounding[0] < 0.502
    assert 1.0 < sounding[-1] <= 1.0 + synth.RELEASE_S


@pytest.mark.parametrize("pitch", [33, 57, 69, 96, 108, 127])
def test_pitch_is_right_also_at_the_end_of_a_long_note(pitch: int) -> None:
    sound = synth.render([Note(0.0, 3.0, pitch, 100, 1.0)], rate_hz=RATE_HZ)
    last_second = sound[2 * RATE_HZ : 3 * RATE_HZ] * np.hanning(RATE_HZ)
    assert np.argmax(np.abs(np.fft.rfft(last_second))) == pytest.approx(440 * 2 ** ((pitch - 69) / 12), abs=1)


@pytest.mark.parametrize("voices", [5, 8, 25])
def test_many_notes_stay_below_full_scale(voices: int) -> None:
    chord = [Note(0.0, 1.0, pitch, 127, 1.0) for pitch in range(40, 40 + 2 * voices, 2)]
    assert np.abs(synth.render(chord, rate_hz=RATE_HZ)).max() == pytest.approx(synth.PEAK)


def test_louder_notes_are_louder() -> None:
    soft, loud = (synth.render([Note(0.0, 1.0, 60, v, 1.0)], rate_hz=RATE_HZ) for v in (40, 120))
    assert np.abs(loud).max() > 3 * np.abs(soft).max()


def test_a_note_of_no_length_is_short_and_does_not_click() -> None:
    sound = synth.render([Note(0.1, 0.1, 60, 127, 1.0)], rate_hz=RATE_HZ, duration_s=0.3)
    assert np.abs(np.diff(sound)).max() < 0.05


def test_the_demo_loop_is_four_bars_and_always_the_same() -> None:
    notes, duration_s = synth.demo_loop()
    assert duration_s == 4 * 4 * 60 / synth.DEMO_BPM
    assert (notes, duration_s) == synth.demo_loop()
    assert len(notes) > 50
    assert all(0 <= note.start_s < note.end_s <= duration_s for note in notes)
    first, second = (synth.render(notes, rate_hz=RATE_HZ, duration_s=duration_s) for _ in range(2))
    assert np.array_equal(first, second)
    assert len(first) == 8 * RATE_HZ


def test_drums_sound_where_they_are_struck_each_in_its_own_band() -> None:
    rate_hz = 44_100
    keys = (36, 38, 42, 49, 41, 50)
    hits = [Note(0.5 + index, 0.6 + index, key, 100) for index, key in enumerate(keys)]
    sound = synth.render_drums(hits, rate_hz=rate_hz, duration_s=7.0)
    assert len(sound) == 7 * rate_hz
    assert np.array_equal(sound, synth.render_drums(hits, rate_hz=rate_hz, duration_s=7.0))
    centres = {}
    for hit in hits:
        start = round(hit.start_s * rate_hz)
        assert not sound[start - 200 : start].any()
        assert np.abs(sound[start : start + 2000]).max() > 0.01
        power = np.abs(np.fft.rfft(sound[start : start + 8192])) ** 2
        centres[hit.pitch] = float((power * np.fft.rfftfreq(8192, 1 / rate_hz)).sum() / power.sum())
    assert centres[36] < centres[41] < centres[50] < centres[38] < centres[42]
    assert centres[36] < 150
    assert centres[42] > 6000


def test_a_harder_stroke_is_louder_and_none_is_too_loud() -> None:
    soft, hard = (
        np.abs(synth.render_drums([Note(0.1, 0.2, 38, velocity)], rate_hz=44_100, duration_s=1.0)).max()
        for velocity in (30, 120)
    )
    assert 0 < soft < hard / 4
    many = [Note(0.1, 0.2, key, 127) for key in (36, 38, 41, 43, 45, 47, 48, 49, 50)]
    assert np.abs(synth.render_drums(many, rate_hz=44_100, duration_s=1.0)).max() <= synth.PEAK + 1e-6
