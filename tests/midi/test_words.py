from __future__ import annotations

import pytest

from bridge.midi.words import words


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((0x99, 36, 100), "note 36 (C1) on, velocity 100, channel 10"),
        ((0x90, 60, 0), "note off 60 (C3), channel 1"),
        ((0x80, 61, 64), "note off 61 (C#3), channel 1"),
        ((0xB0, 64, 127), "cc 64 (sustain), value 127, channel 1"),
        ((0xBF, 20, 1), "cc 20, value 1, channel 16"),
        ((0xC3, 5), "program 5, channel 4"),
        ((0xE0, 0, 64), "pitch bend +0, channel 1"),
        ((0xE0, 0, 0), "pitch bend -8192, channel 1"),
        ((0xF2, 16, 1), "song position 144"),
        ((0xFA,), "start"),
        ((0xF0, 0x7F, 0x7F, 6, 6, 0xF7), "MMC record strobe"),
        ((0xF0, 0x7F, 0x7F, 6, 0x44, 0xF7), "MMC command 68"),
        ((0xF0, 0x7D, 1, 0xF7), "sysex F0 7D 01 F7"),
        ((0x90,), "unknown message 90"),
        ((), "nothing"),
    ],
)
def test_a_message_in_words(data: tuple[int, ...], said: str) -> None:
    assert words(data) == said


def test_a_long_sysex_is_cut_short_and_its_length_said() -> None:
    assert words((0xF0, *range(100), 0xF7)).endswith("… (102 bytes)")
