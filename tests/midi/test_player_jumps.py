"""What a player does when its clock stops, jumps, stalls or jitters."""

from __future__ import annotations

import math

import pytest

from bridge.midi.clock import ClockFollower
from bridge.midi.player import Player
from bridge.midi.timing import Cut
from support.far_end import FarEnd
from support.midi_clocks import Ramp, steady, ticks, worst
from support.midi_songs import Row, bend, control, off, on, program, scale
from support.midi_stage import Stage, order, song

LONG: list[Row] = [
    *((0, program(5)), (0, on(50, 80)), (8, off(50)), (2, control(7, 20)), (4, bend(9000))),
    *((6, on(55, 90)), (12, off(55)), (12, on(57)), (16, off(57))),
]


def test_stop_silences_and_continue_chases() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(LONG))
    stage.until(3.5)
    assert stage.sounding == [50, 55]
    stage.free.stop(3.5)
    stage.until(3.6)
    assert stage.sounding == []
    assert stage.far.synth.set[0xE0, 0, 0] == 8192
    assert stage.told()[-1] == ("a", "paused")
    stage.free.go_on(10.0)
    stage.now = 10.0
    stage.until(10.1)
    assert stage.sounding == [50, 55]
    assert stage.far.synth.sounding[0, 55] == 90
    assert stage.far.synth.set[0xE0, 0, 0] == 9000
    assert stage.told() == [("a", "playing")]
    stage.until(10.6)
    assert stage.sounding == [55]


def test_a_locate_chases_to_the_new_place() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(LONG))
    stage.until(1.5)
    stage.free.locate(7.0, 1.5)
    stage.until(1.6)
    assert stage.sounding == [50, 55]
    stage.free.locate(1.0, 1.6)
    stage.until(1.7)
    assert stage.sounding == [50]
    assert stage.far.synth.set[0xB0, 0, 7] == 100
    assert stage.far.synth.set[0xE0, 0, 0] == 8192


def test_a_jump_takes_back_what_was_handed_out_ahead() -> None:
    stage = Stage(ahead_s=0.3)
    stage.free.start(0.0)
    stage.play(song(scale(4)))
    stage.until(0.4)
    stage.free.stop(0.4)
    stage.until(2.0)
    assert stage.notes() == [(0.0, 60)]
    cuts = [emission for emission in stage.given if isinstance(emission, Cut)]
    assert cuts == [Cut(0.4, "a")]


def test_a_launched_song_that_the_clock_jumps_behind_has_ended() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(2)))
    stage.until(0.2)
    stage.free.locate(64.0, 0.2)
    stage.until(0.3)
    assert stage.told()[-1] == ("a", "ended")
    assert stage.sounding == []


def test_a_launched_song_that_the_clock_jumps_before_is_waited_for() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.until(1.5)
    stage.play(song(scale(2)), when="bar")
    stage.until(2.2)
    stage.free.locate(2.0, 2.2)
    stage.until(5.0)
    assert stage.notes() == [(2.0, 60), (3.2, 60), (3.7, 61)]


def test_a_launched_loop_keeps_its_phase() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.until(1.5)
    stage.play(song(scale(4)), loop=True, when="bar")
    stage.until(2.7)
    stage.free.locate(2.0, 2.7)
    stage.until(3.9)
    assert stage.notes() == [(2.0, 60), (2.5, 61), (2.7, 62), (3.2, 63), (3.7, 60)]


def test_what_follows_the_song_is_played_where_the_song_is() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.until(1.2)
    stage.play(song(scale(8)), follow="song", when="beat")
    stage.until(2.2)
    assert stage.notes() == [(1.5, 63), (2.0, 64)]


def test_when_the_song_comes_back_to_it_it_plays_again() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(2)), follow="song")
    stage.until(3.0)
    assert stage.told()[-1] == ("a", "waiting")
    assert stage.player.next_at(stage.clock, stage.now) == math.inf
    stage.free.locate(1.0, 3.0)
    stage.until(4.5)
    assert stage.notes() == [(0.0, 60), (0.5, 61), (3.0, 61)]
    assert stage.told() == [("a", "playing"), ("a", "waiting")]


def test_a_loop_that_follows_the_song_is_at_the_songs_place_in_it() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(4)), follow="song", loop=True)
    stage.until(0.2)
    stage.free.locate(10.0, 0.2)
    stage.until(1.3)
    assert stage.notes() == [(0.0, 60), (0.2, 62), (0.7, 63), (1.2, 60)]


def test_after_a_sleep_of_three_seconds_nothing_is_made_up_for() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song([*scale(16, every=0.5, lasts=0.4), (0, on(40)), (16, off(40))]))
    stage.until(0.6)
    strikes = stage.far.synth.strikes
    stage.now = 3.63
    stage.until(3.63)
    assert stage.far.synth.strikes - strikes <= 2
    assert 40 in stage.sounding
    stage.until(12.0)
    assert stage.sounding == []


def test_a_little_late_everything_is_still_played() -> None:
    stage = Stage()
    stage.free.start(0.0)
    stage.play(song(scale(4, every=0.25, lasts=0.2)))
    stage.until(0.05)
    stage.now = 0.28
    stage.until(2.0)
    assert [key for _, key in stage.notes()] == [60, 61, 62, 63]


def test_next_at_says_when_there_is_something_to_do() -> None:
    stage = Stage(ahead_s=0.0)
    assert stage.player.next_at(stage.clock, 0.0) == math.inf
    stage.free.start(0.0)
    stage.until(0.1)
    stage.play(song(scale(2)), when="beat")
    assert stage.player.next_at(stage.clock, stage.now) == 0.5
    stage.until(0.5)
    assert stage.player.next_at(stage.clock, stage.now) == pytest.approx(0.95)
    stage.free.locate(8.0, 0.6)
    assert stage.player.next_at(stage.clock, 0.6) == 0.6


# By an external clock


def test_a_clock_of_a_single_tick_brings_nothing_to_a_standstill() -> None:
    follower = ClockFollower("DAW")
    stage = Stage(follower)
    follower.start(0.0)
    follower.tick(0.01)
    stage.now = 0.45
    stage.play(song(scale(2)), when="now")
    stage.until(0.5)
    assert [key for _, key in stage.notes()] == [60]


@pytest.mark.parametrize("bpm", [60, 120, 174])
def test_notes_are_within_two_milliseconds_of_a_jittering_clocks_true_beat(bpm: int) -> None:
    late = late_by(steady(bpm), 48, seed=3)
    assert worst(late[16:]) <= 2.0
    assert abs(late[0]) <= 0.003


def test_notes_are_within_two_milliseconds_through_a_ramp() -> None:
    late = [one for seed in range(6) for one in late_by(Ramp(100, 140, 32, begins=8), 42, seed)[32:]]
    assert worst(late) <= 2.0


def late_by(tempo: Ramp, beats: int, seed: int) -> list[float]:
    """By how much notes are late, four a beat, where the loop looks every millisecond."""
    follower, player, far = ClockFollower("DAW"), Player(4.0), FarEnd()
    notes: list[Row] = [
        (beat / 4 + lasts, data(60)) for beat in range(4 * beats) for lasts, data in ((0, on), (0.1, off))
    ]
    player.add(order(), song(notes), follower, 0.0)
    follower.start(0.9)
    now = 0.9
    for at_s in ticks(tempo.time_of, beats, seed=seed):
        while now < at_s + 1:
            far.take(player.advance(follower, now, now + 0.003))
            far.flush(now)
            now = min(at_s + 1, now + 0.001)
        follower.tick(at_s + 1)
    heard = far.synth.notes()
    assert len(heard) >= 4 * beats - 1
    return [at_s - 1 - tempo.time_of(number / 4) for number, (at_s, _, _) in enumerate(heard)]
