from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.midi.sounding import Sounding, everything_off
from support.far_end import Synth
from support.midi_songs import bend, control, off, on

PORT = "DAW Bridge"


def test_a_note_goes_through_and_is_ended_by_its_off() -> None:
    sounding = Sounding()
    assert sounding.sent(PORT, "a", on(60)) == [on(60)]
    assert sounding.held(PORT) == [(0, 60)]
    assert sounding.sent(PORT, "a", off(60)) == [off(60)]
    assert sounding.held(PORT) == []
    assert sounding.silence(PORT, "b") == []


def test_a_note_on_without_velocity_is_an_off() -> None:
    sounding = Sounding()
    sounding.sent(PORT, "a", on(60))
    sounding.sent(PORT, "a", on(60, 0))
    assert sounding.held(PORT) == []


def test_two_that_hold_one_note_strike_it_twice_and_end_it_once() -> None:
    sounding = Sounding()
    sounding.sent(PORT, "a", on(60))
    assert sounding.sent(PORT, "b", on(60, 90)) == [off(60), on(60, 90)]
    assert sounding.sent(PORT, "a", off(60)) == []
    assert sounding.held(PORT) == [(0, 60)]
    assert sounding.sent(PORT, "b", off(60)) == [off(60)]


def test_the_off_of_one_that_does_not_hold_it_ends_nobody_elses_note() -> None:
    sounding = Sounding()
    sounding.sent(PORT, "a", on(60))
    assert sounding.sent(PORT, "b", off(60)) == []


def test_channels_and_ports_are_apart() -> None:
    sounding = Sounding()
    sounding.sent(PORT, "a", on(60))
    assert sounding.sent(PORT, "b", on(60, channel=1)) == [on(60, channel=1)]
    assert sounding.sent("Synth", "b", on(60)) == [on(60)]
    assert sounding.held("Synth", "b") == [(0, 60)]


def test_silencing_one_leaves_what_others_hold() -> None:
    sounding = Sounding()
    for owner, key in (("a", 60), ("a", 64), ("b", 60)):
        sounding.sent(PORT, owner, on(key))
    assert sounding.silence(owner="a") == [(PORT, off(64))]
    assert sounding.held(PORT) == [(0, 60)]
    assert sounding.silence(owner="b") == [(PORT, off(60)), (PORT, control(123, 0))]


def test_silencing_lifts_the_pedal_and_centres_the_bend_of_whoever_used_them() -> None:
    sounding = Sounding()
    for data in (control(64, 127), bend(16383), on(60)):
        sounding.sent(PORT, "a", data)
    assert sounding.silence(owner="b") == []
    assert sounding.silence(owner="a") == [
        (PORT, off(60)), (PORT, control(64, 0)), (PORT, bend(8192)), (PORT, control(123, 0)),
    ]  # fmt: skip
    assert sounding.silence() == []


def test_a_pedal_is_up_when_the_last_foot_leaves_it() -> None:
    sounding = Sounding()
    sounding.sent(PORT, "a", control(64, 127))
    sounding.sent(PORT, "b", control(64, 100))
    assert sounding.sent(PORT, "a", control(64, 0)) == []
    assert sounding.silence(owner="b") == [(PORT, control(64, 0))]


def test_all_notes_off_of_one_playing_ends_only_its_own() -> None:
    sounding = Sounding()
    sounding.sent(PORT, "a", on(60))
    sounding.sent(PORT, "b", on(64))
    assert sounding.sent(PORT, "a", control(123, 0)) == [off(60)]
    assert sounding.sent(PORT, "b", control(120, 0)) == [off(64), control(120, 0)]


def test_silencing_everybody_at_one_port() -> None:
    sounding = Sounding()
    sounding.sent(PORT, "a", on(60))
    sounding.sent("Synth", "b", on(61))
    assert sounding.silence("Synth") == [("Synth", off(61)), ("Synth", control(123, 0))]
    assert sounding.held(PORT) == [(0, 60)]


def test_a_port_that_is_gone_is_forgotten() -> None:
    sounding = Sounding()
    sounding.sent(PORT, "a", on(60))
    sounding.forget(PORT)
    assert sounding.silence() == []


def test_system_messages_go_through() -> None:
    sounding = Sounding()
    assert sounding.sent(PORT, "a", (0xF0, 1, 2, 0xF7)) == [(0xF0, 1, 2, 0xF7)]
    assert sounding.sent(PORT, "a", (0xF8,)) == [(0xF8,)]
    assert sounding.sent(PORT, "a", ()) == []
    assert sounding.silence() == []


def test_everything_off_reaches_every_channel() -> None:
    messages = everything_off()
    for channel in range(16):
        assert control(64, 0, channel) in messages
        assert control(123, 0, channel) in messages
        assert bend(8192, channel) in messages


MESSAGES = st.one_of(
    st.builds(on, st.integers(60, 62), st.integers(0, 127), st.integers(0, 1)),
    st.builds(off, st.integers(60, 62), st.integers(0, 1)),
    st.builds(control, st.sampled_from([1, 64, 120, 123]), st.integers(0, 127), st.integers(0, 1)),
    st.builds(bend, st.integers(0, 16383), st.integers(0, 1)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(MESSAGES, st.none())), max_size=40))
def test_whatever_several_play_together_nothing_is_left_when_each_was_silenced(
    moves: Sequence[tuple[str, tuple[int, ...] | None]],
) -> None:
    sounding, synth = Sounding(), Synth()
    for owner, data in [*moves, ("a", None), ("b", None), ("c", None)]:
        sent = sounding.sent(PORT, owner, data) if data else [one for _, one in sounding.silence(owner=owner)]
        for one in sent:
            synth.hear(0.0, one)
        assert sorted(synth.sounding) == sounding.held(PORT)
    assert not synth.sounding
    for channel in (0, 1):
        assert synth.set.get((0xB0, channel, 64), 0) < 64
        assert synth.set.get((0xE0, channel, 0), 8192) == 8192
