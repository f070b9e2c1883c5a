from __future__ import annotations

import math

import pytest

from bridge.midi.messages import PlayTold
from bridge.midi.player import MOST_IDLE
from bridge.midi.timing import Cut
from support.midi_songs import Row, bend, control, off, on, program, scale
from support.midi_stage import Stage, song

# Beginning


@pytest.mark.parametrize(
    ("when", "count", "begins_s"),
    [("now", 1, 0.6), ("beat", 1, 1.0), ("beat", 3, 1.5), ("bar", 1, 2.0), ("bar", 4, 8.0)],
)
def test_it_begins_at_the_next_place_of_the_clock(when: str, count: int, begins_s: float) -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.until(0.6)
    stage.play(song(scale(2)), when=when, count=count)
    assert stage.told() == [("a", "waiting")]
    stage.until(10.0)
    assert stage.notes() == [(begins_s, 60), (begins_s + 0.5, 61)]
    assert stage.told() == [("a", "playing"), ("a", "ended")]


def test_exactly_on_the_line_is_that_line() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.until(2.0)
    stage.play(song(scale(1)))
    stage.until(3.0)
    assert stage.notes() == [(2.0, 60)]


def test_it_waits_while_the_clock_stands_and_begins_with_it() -> None:
    stage = Stage()
    stage.play(song(scale(2)), when="bar", count=2)
    stage.until(1.0)
    assert stage.player.next_at(stage.clock, stage.now) == math.inf
    stage.free.start(1.0)
    stage.until(2.0)
    assert stage.notes() == [(1.0, 60), (1.5, 61)]


def test_a_clock_that_goes_on_in_mid_bar_is_waited_for_until_its_next_bar() -> None:
    stage = Stage()
    stage.free.locate(5.5, 0.0)
    stage.play(song(scale(1)))
    stage.free.go_on(1.0)
    stage.until(3.0)
    assert stage.notes() == [(2.25, 60)]


def test_a_start_that_is_noticed_a_little_late_is_played_from_its_beginning() -> None:
    stage = Stage()
    stage.play(song(scale(2)))
    stage.until(0.5)
    stage.free.start(0.505)
    stage.now = 0.515
    stage.until(2.0)
    assert [key for _, key in stage.notes()] == [60, 61]
    assert stage.notes()[1] == (1.005, 61)


def test_what_is_armed_waits_for_its_begin() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(1)), armed=True)
    stage.until(3.0)
    assert stage.notes() == []
    stage.begin()
    stage.until(5.0)
    assert stage.notes() == [(4.0, 60)]
    assert stage.told() == [("a", "armed"), ("a", "waiting"), ("a", "playing"), ("a", "ended")]


def test_what_has_ended_or_was_stopped_can_begin_again() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(1)))
    stage.until(1.0)
    stage.begin(when="beat")
    stage.until(1.2)
    stage.player.halt("a", stage.now)
    stage.until(1.5)
    stage.begin(when="beat")
    stage.until(3.0)
    assert [at_s for at_s, _ in stage.notes()] == [0.0, 1.0, 1.5]


def test_what_is_not_there_cannot_begin_and_says_so() -> None:
    stage = Stage()
    stage.begin("nobody")
    (told,) = stage.player.told()
    assert (told.id, told.state) == ("nobody", "failed")
    assert "armed again" in told.why


def test_an_order_that_cannot_be_fails_in_plain_words() -> None:
    stage = Stage()
    stage.play(song(scale(1)), channels={"*": 99})
    assert stage.player.told() == [
        PlayTold("a", "failed", 'channel of track "*" must be in range 1 to 16, not 99')
    ]


def test_transposition_and_channels_are_taken_from_the_order() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(1)), transpose=-12, channels={"1": 10})
    stage.until(0.1)
    assert list(stage.far.synth.sounding) == [(9, 48)]


def test_several_play_at_once_and_each_to_its_port() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(2)))
    stage.play(song(scale(2, first=40)), "b", port="Synth")
    stage.until(2.0)
    assert stage.notes() == [(0.0, 60), (0.5, 61)]
    assert [key for _, key, _ in stage.far.synths["Synth"].notes()] == [40, 41]


# Going on and ending


def test_the_tempo_is_followed_from_call_to_call() -> None:
    stage = Stage(ahead_s=0.0)
    stage.free.start(0.0)
    stage.play(song(scale(4)))
    stage.until(0.75)
    stage.free.set_tempo(60, stage.now)
    stage.until(5.0)
    assert stage.notes() == [(0.0, 60), (0.5, 61), (1.25, 62), (2.25, 63)]


def test_what_was_handed_out_ahead_is_not_overtaken_when_the_tempo_rises() -> None:
    stage = Stage(ahead_s=0.4)
    stage.free.start(0.0)
    stage.play(song(scale(16, every=0.25, lasts=0.2)))
    stage.until(0.1)
    stage.free.set_tempo(240, stage.now)
    stage.until(3.0)
    assert [key for _, key in stage.notes()] == list(range(60, 76))
    assert stage.notes() == sorted(stage.notes())


def test_a_loop_that_begins_off_the_grid_is_found_again_at_its_beginning() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.until(1 / 6)
    stage.play(song(scale(1)), loop=True, when="now")
    stage.until(0.2)
    stage.free.locate(1 / 3 + 8, 0.2)
    stage.until(0.3)
    assert [key for _, key in stage.notes()] == [60, 60]
    assert len([emission for emission in stage.given if isinstance(emission, Cut)]) == 1


def test_a_loop_is_as_long_as_whole_bars_and_has_no_gap() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(2), length=3), loop=True)
    stage.until(4.3)
    assert stage.notes() == [(0.0, 60), (0.5, 61), (2.0, 60), (2.5, 61), (4.0, 60)]


def test_a_new_meter_counts_from_the_next_start() -> None:
    stage = Stage()
    stage.player.beats_a_bar = 3.0
    stage.free.start(0.0)
    stage.until(0.1)
    stage.play(song(scale(1)), loop=True)
    stage.until(4.6)
    assert [at_s for at_s, _ in stage.notes()] == [1.5, 3.0, 4.5]


def test_what_sounds_over_the_seam_ends_there_and_is_set_as_at_the_beginning() -> None:
    rows: list[Row] = [
        *((0, program(3)), (0, control(1, 5)), (0, on(60)), (1, control(1, 99)), (1, control(64, 127))),
        *((2, bend(0)), (2, control(11, 20)), (4, off(60))),
    ]
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(rows), loop=True)
    stage.until(1.9)
    assert stage.far.synth.set == {
        (0xC0, 0, 0): 3, (0xB0, 0, 1): 99, (0xB0, 0, 64): 127, (0xE0, 0, 0): 0, (0xB0, 0, 11): 20,
    }  # fmt: skip
    stage.until(2.1)
    assert stage.notes() == [(0.0, 60), (2.0, 60)]
    synth = stage.far.synth
    assert {key: value for key, value in synth.set.items() if key[2] != 123} == {
        (0xC0, 0, 0): 3, (0xB0, 0, 1): 5, (0xB0, 0, 64): 0, (0xE0, 0, 0): 8192, (0xB0, 0, 11): 127,
    }  # fmt: skip
    seam = [data for at_s, data in synth.heard if at_s == 2.0]
    assert seam[0] == off(60)
    assert seam[-1] == on(60)


def test_a_loop_that_is_switched_off_ends_with_its_round() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(2)), loop=True)
    stage.until(2.2)
    stage.player.loop("a")
    stage.until(9.0)
    assert [at_s for at_s, _ in stage.notes()] == [0.0, 0.5, 2.0, 2.5]
    assert stage.told()[-1] == ("a", "ended")


def test_what_is_looped_in_mid_play_goes_on() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(2)))
    stage.until(0.7)
    stage.player.loop("a", on=True)
    stage.until(2.2)
    assert [at_s for at_s, _ in stage.notes()] == [0.0, 0.5, 2.0]


def test_begun_again_while_it_plays_it_is_cut_at_that_place_and_starts_anew() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song([(0, on(60)), (8, off(60))]))
    stage.until(1.0)
    stage.begin(when="bar")
    stage.until(2.5)
    assert stage.notes() == [(0.0, 60), (2.0, 60)]
    assert (2.0, off(60)) in stage.far.synth.heard
    stage.until(9.0)
    assert stage.sounding == []
    assert stage.told() == [("a", "waiting"), ("a", "playing"), ("a", "ended")]


def test_begun_again_at_once_what_was_handed_out_ahead_is_taken_back() -> None:
    stage = Stage(ahead_s=0.2)
    stage.free.start(0.0)
    stage.play(song(scale(4)))
    stage.until(0.4)
    stage.begin(when="now")
    stage.until(1.2)
    assert stage.notes() == [(0.0, 60), (0.4, 60), (0.9, 61)]


@pytest.mark.parametrize(("name", "left"), [("a", ["b"]), ("", []), ("pads", ["a", "b"])])
def test_halt_ends_by_id_by_group_or_all(name: str, left: list[str]) -> None:
    stage = Stage()
    stage.free.start(0.0)
    for number, one in enumerate(("a", "b", "pads/1", "pads/2")):
        stage.play(song([(0, on(60 + number)), (16, off(60 + number))]), one)
    stage.until(0.5)
    stage.told()
    stage.player.halt(name, stage.now)
    stage.until(0.5)
    sounding = {"a": 60, "b": 61, "pads/1": 62, "pads/2": 63}
    names = [one for one, key in sounding.items() if key in stage.sounding]
    assert names == [*left, *(["pads/1", "pads/2"] if name == "a" else [])]
    assert {state for _, state in stage.told()} == {"stopped"}


def test_halt_takes_back_what_was_handed_out_ahead() -> None:
    stage = Stage(ahead_s=0.2)
    stage.free.start(0.0)
    stage.play(song(scale(4)))
    stage.until(0.4)
    stage.player.halt("a", stage.now)
    stage.until(2.0)
    assert stage.notes() == [(0.0, 60)]
    assert stage.sounding == []


def test_an_order_with_the_same_id_takes_the_place_of_the_first() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song([(0, on(60)), (16, off(60))]))
    stage.until(0.5)
    stage.play(song(scale(1, first=40)), when="beat")
    stage.until(0.6)
    assert stage.sounding == [40]


def test_those_that_ended_are_kept_but_not_for_ever() -> None:
    stage = Stage()
    stage.free.start(0.0)
    for number in range(MOST_IDLE + 10):
        stage.play(song(scale(1)), str(number), when="now")
    stage.until(1.0)
    assert len(stage.player.states()) == MOST_IDLE
    assert stage.player.next_at(stage.clock, stage.now) == math.inf
