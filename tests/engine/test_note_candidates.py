"""What is looked at, and how it is described: candidates, their features, their relatives."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.engine import candidate_features, candidate_relations
from bridge.engine.candidate_features import FEATURES, RELATIVES, features
from bridge.engine.candidate_network import MATERIALS, Network, answers, networks, verdicts
from bridge.engine.candidate_relations import RELATIONS, relations
from bridge.engine.note_candidates import Candidates, candidates
from bridge.engine.posteriors import pack
from support.drawings import Drawing


def places(drawing: Drawing) -> list[tuple[int, int]]:
    heard = drawing.heard()
    found = candidates(heard.note, heard.onset)
    return [
        (pitch + 21, frame) for pitch, frame in zip(found.pitch.tolist(), found.frame.tolist(), strict=True)
    ]


def test_silence_has_no_candidates() -> None:
    assert places(Drawing(0)) == []
    assert places(Drawing(3)) == []
    assert places(Drawing(300)) == []


def test_a_peak_is_one_candidate_also_at_the_ends_of_time_and_range() -> None:
    drawing = Drawing(300).note(60, 50, 120).note(21, 0, 30).note(108, 299, 300).note(60, 150, 180)
    assert places(drawing) == [(21, 0), (60, 50), (60, 150), (108, 299)]


def test_a_peak_seen_twice_is_one_candidate() -> None:
    drawing = Drawing(300).note(60, 50, 120)
    drawing.onsets[53, 39] = 0.97
    assert places(drawing) == [(60, 53)]
    drawing.onsets[53:58, 39] = 0.97  # a plateau
    assert places(drawing) == [(60, 53)]


def test_a_rise_without_an_onset_is_a_candidate() -> None:
    drawing = Drawing(300)
    drawing.notes[100:150, 39] = 0.8
    ((pitch, frame),) = places(drawing)
    assert pitch == 60
    assert abs(frame - 100) <= 3


def test_a_weak_peak_of_a_pitch_that_does_not_sound_is_none() -> None:
    drawing = Drawing(300)
    drawing.onsets[100, 39] = 0.2
    assert places(drawing) == []
    drawing.notes[100:130, 39] = 0.5
    assert len(places(drawing)) == 1


def test_features_do_not_depend_on_gain() -> None:
    drawing = Drawing(400).note(48, 100, 200).note(60, 103, 180, strength=0.5).note(67, 250, 300)
    drawing.magnitudes += np.float32(0.003)  # so that nothing is quieter than levels can tell
    loud, quiet = drawing.heard(), drawing.heard(gain_db=-20.0)
    found = candidates(loud.note, loud.onset)
    assert len(found) == 3
    assert np.abs(features(loud, found) - features(quiet, found)).max() <= 0.05  # half decibels are rounded


def test_features_have_their_number_and_are_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = Drawing(900)
    for pitch in range(21, 109):
        drawing.note(pitch, 10 * (pitch - 21), 10 * (pitch - 21) + 30)
    heard = drawing.heard()
    found = candidates(heard.note, heard.onset)
    rows = features(heard, found)
    assert rows.shape == (88, FEATURES)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    monkeypatch.setattr(candidate_features, "BLOCK", 250)
    assert np.array_equal(features(heard, found), rows)


def test_relations_tell_what_was_said_of_relatives(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Candidates(np.array([20, 32, 32, 50]), np.array([100, 97, 127, 103]))
    sure = np.array([0.9, 0.5, 0.7, 0.2])
    rows = relations(found, sure, 300)
    assert rows.shape == (4, RELATIONS)
    told = rows[:, 2 : 2 + len(RELATIVES)]
    octave_above, octave_below = RELATIVES.index(12), RELATIVES.index(-12)
    assert told[0, octave_above] == pytest.approx(0.5)  # not the one 27 frames later
    assert told[1, octave_below] == pytest.approx(0.9)
    assert told[2, octave_below] == 0
    assert told[3].max() == 0
    assert rows[:, 0] == pytest.approx(np.log(sure / (1 - sure)))
    own_later = rows[1, -1]
    assert own_later == pytest.approx(0.7)
    monkeypatch.setattr(candidate_relations, "BLOCK", 50)
    assert np.array_equal(relations(found, sure, 300), rows)


def test_a_network_by_hand() -> None:
    network = Network(
        hidden=np.array([[1.0, -1.0]], dtype=np.float32),
        material=np.zeros((len(MATERIALS), 2), dtype=np.float32),
        out=np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]], dtype=np.float32),
        bias=np.zeros(3, dtype=np.float32),
    )
    network.material[MATERIALS.index("bass")] = (1, 0)
    rows = np.array([[2.0], [-3.0], [9.0]], dtype=np.float32)
    assert answers(network, rows, "piano").tolist() == [[2, 0, 4], [0, 3, 0], [9, 0, 18]]
    assert answers(network, rows, "bass").tolist() == [[3, 0, 6], [0, 3, 0], [10, 0, 20]]
    said = verdicts(network, rows, "piano")
    assert said.note == pytest.approx([np.exp(2) / (2 + np.exp(2)), 1 / (2 + np.exp(3)), 0.99975], abs=1e-4)
    assert said.ghost == pytest.approx([1 / (2 + np.exp(2)), np.exp(3) / (2 + np.exp(3)), 0.0001], abs=1e-4)
    assert said.shift.tolist() == [4, 0, 8]


def test_the_weights_fit_the_inputs() -> None:
    kept = networks()
    assert kept.first.hidden.shape[0] == FEATURES
    assert kept.second.hidden.shape[0] == FEATURES + RELATIONS
    assert all(net.material.shape[0] == len(MATERIALS) for net in vars(kept).values())


def test_packing_keeps_within_range() -> None:
    strange = np.array([[np.nan, -0.1, 0.0, 0.5, 1.0, 1.1, np.inf]], dtype=np.float32)
    assert pack(strange).tolist() == [[0, 0, 0, 32_768, 65_535, 65_535, 65_535]]
