from __future__ import annotations

from bridge.midi.measuring import FRUITLESS, LOST_AFTER_S, Measuring


def _run(measuring: Measuring, back_after_s: float | None, *, lost: frozenset[int] = frozenset()) -> int:
    """Plays the loop until it is over; returns how many probes went out."""
    now, sent = 0.0, 0
    while not measuring.is_over():
        probe = measuring.due(now)
        if probe is not None:
            sent += 1
            if back_after_s is not None and sent not in lost:
                assert measuring.heard("in", probe, now + back_after_s)
        now = max(measuring.next_at(), now + 1e-6)
    return sent


def test_each_probe_is_timed() -> None:
    measuring = Measuring("out", "in", 20)
    assert _run(measuring, 0.004) == 20
    result = measuring.result()
    assert [round(one, 6) for one in result.times_ms] == [4.0] * 20
    assert (result.lost, result.why) == (0, "")


def test_lost_probes_are_counted_and_not_timed() -> None:
    measuring = Measuring("out", "in", 10)
    _run(measuring, 0.002, lost=frozenset({3, 7}))
    assert measuring.result().lost == 2
    assert len(measuring.result().times_ms) == 8


def test_where_there_is_no_loop_it_gives_up_soon_and_says_so() -> None:
    measuring = Measuring("out", "in", 200)
    assert _run(measuring, None) == FRUITLESS
    assert "nothing" in measuring.result().why


def test_other_messages_and_late_probes_are_none_of_its_business() -> None:
    measuring = Measuring("out", "in", 3)
    probe = measuring.due(0.0)
    assert probe is not None
    assert not measuring.heard("in", (0x90, 60, 1), 0.001)
    assert not measuring.heard("elsewhere", probe, 0.001)
    measuring.due(LOST_AFTER_S + 0.1)
    assert measuring.heard("in", probe, LOST_AFTER_S + 0.2)
    assert measuring.result().times_ms == ()
