"""Whatever a musician does, no note hangs: random songs, commands and clocks, heard by a synthesizer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.midi.clock import ClockFollower, FreeClock
from bridge.midi.messages import Begin, Play
from bridge.midi.player import Player
from bridge.midi.sequence import Sequence
from bridge.midi.timing import BeatClock
from support.far_end import FarEnd, Synth
from support.midi_songs import Row, bend, control, off, on, program, song_bytes

STEP_S = 0.01
BPM = 120


@st.composite
def songs(draw: st.DrawFn) -> Sequence:
    beats = st.integers(0, 47).map(lambda n: n / 8)
    messages = st.one_of(
        st.builds(on, st.integers(60, 63), st.integers(0, 127)),
        st.builds(off, st.integers(60, 63)),
        st.builds(control, st.sampled_from([1, 7, 64]), st.sampled_from([0, 100, 127])),
        st.builds(program, st.integers(0, 3)),
        st.builds(bend, st.sampled_from([0, 8192, 16383])),
    )
    rows: list[Row] = draw(st.lists(st.tuples(beats, messages), max_size=25))
    return Sequence.read(song_bytes(rows, length=draw(st.sampled_from([0.0, 1.0, 4.0, 5.0]))))


@dataclass
class Night:
    """One clock, one player and a far end."""

    clock: BeatClock
    ahead_s: float
    player: Player = field(default_factory=Player)
    far: FarEnd = field(default_factory=FarEnd)
    now: float = 0.0

    def look(self) -> None:
        self.far.take(self.player.advance(self.clock, self.now, self.now + self.ahead_s))
        self.far.flush(self.now)

    def close(self) -> None:
        """Everything is halted; nothing may sound then, and nothing may be left bent or held."""
        self.player.halt("", self.now)
        self.look()
        self.now += 10.0
        self.look()
        synth = self.far.synth
        assert not synth.sounding
        assert synth.set.get((0xB0, 0, 64), 0) < 64
        assert synth.set.get((0xE0, 0, 0), 8192) == 8192
        assert self.far.sounding.silence() == []


def shared(moves: Night, draw: Callable[[st.SearchStrategy[int]], int], song: Sequence) -> None:
    """One of the things that can be done with a playing."""
    name = "ab"[draw(st.integers(0, 1))]
    what = draw(st.integers(0, 5))
    when = ("now", "beat", "bar")[draw(st.integers(0, 2))]
    if what == 0:
        order = Play(
            name, "x", when=when, loop=draw(st.integers(0, 1)) == 1,  # type: ignore[arg-type]
            follow=("launch", "song")[draw(st.integers(0, 1))],
            transpose=draw(st.integers(-2, 2)),
        )  # fmt: skip
        moves.player.add(order, song, moves.clock, moves.now)
    elif what == 1:
        moves.player.begin(Begin(name, when, 1 + draw(st.integers(0, 1))), moves.clock, moves.now)  # type: ignore[arg-type]
    elif what == 2:
        moves.player.halt(name, moves.now)
    elif what == 3:
        moves.player.loop(name)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_note_hangs_whatever_is_done_with_our_own_clock(data: st.DataObject) -> None:
    clock = FreeClock(BPM)
    night = Night(clock, data.draw(st.sampled_from([0.0, 0.02, 0.3])))
    known = [data.draw(songs()), data.draw(songs())]
    clock.start(0.0)
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.integers(0, 6)):
            case 0:
                clock.start(night.now)
            case 1:
                clock.stop(night.now)
            case 2:
                clock.go_on(night.now)
            case 3:
                clock.locate(data.draw(st.sampled_from([0.0, 1.0, 2.5, 4.0, 7.9, 64.0])), night.now)
            case 4:
                clock.set_tempo(data.draw(st.sampled_from([40.0, 60.0, 120.0, 240.0])), night.now)
            case _:
                shared(night, data.draw, data.draw(st.sampled_from(known)))
        for _ in range(data.draw(st.integers(0, 40))):
            night.look()
            night.now += STEP_S
        night.now += data.draw(st.sampled_from([0.0, 0.0, 0.0, 0.1, 3.0]))
    night.close()


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_no_note_hangs_whatever_an_external_clock_does(data: st.DataObject) -> None:
    follower = ClockFollower("DAW")
    night = Night(follower, data.draw(st.sampled_from([0.0, 0.02, 0.3])))
    known = [data.draw(songs()), data.draw(songs())]
    chance = random.Random(data.draw(st.integers(0, 1000)))
    follower.start(0.0)
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.integers(0, 6)):
            case 0:
                follower.start(night.now)
            case 1:
                follower.stop(night.now)
            case 2:
                follower.go_on(night.now)
            case 3:
                follower.song_position(data.draw(st.integers(0, 40)), night.now)
            case 4:
                night.now += data.draw(st.sampled_from([0.04, 0.2, 0.7]))
            case _:
                shared(night, data.draw, data.draw(st.sampled_from(known)))
        period_s = 60 / data.draw(st.sampled_from([60, 120, 180])) / 24
        for _ in range(data.draw(st.integers(0, 60))):
            night.now += max(0.0001, period_s + chance.uniform(-0.002, 0.002))
            follower.lost(night.now)
            if chance.random() > 0.02:
                follower.tick(night.now)
            night.look()
    night.close()


@settings(max_examples=100, deadline=None)
@given(
    songs(),
    st.integers(0, 70).map(lambda n: n / 8 + 1 / 16),
    st.booleans(),
    st.sampled_from(["launch", "song"]),
    st.sampled_from([0.0, 0.3]),
)
def test_what_sounds_after_a_jump_is_what_sounds_played_through_to_there(
    song: Sequence, beat: float, loop: bool, follow: str, ahead_s: float
) -> None:
    def at(locate: bool) -> Synth:
        clock = FreeClock(BPM)
        night = Night(clock, ahead_s)
        clock.start(0.0)
        night.player.add(Play("a", "x", loop=loop, follow=follow), song, clock, 0.0)  # type: ignore[arg-type]
        end_s = beat * 60 / BPM
        if locate:
            night.look()
            night.now = 0.1
            clock.locate(beat, night.now)
            night.look()
        while not locate and night.now < end_s:
            night.look()
            night.now = min(end_s, night.now + STEP_S)
        night.look()
        return night.far.synth

    through, jumped = at(locate=False), at(locate=True)
    assert jumped.sounding == through.sounding
    if loop or beat < song.length:
        without = {key: value for key, value in through.set.items() if key[2] != 123}
        assert {key: value for key, value in jumped.set.items() if key[2] != 123} == without
