"""What chunks say about the music, and when they say nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bridge.media.wav_chunks import read_chunks
from bridge.media.wav_facts import MusicalFacts, musical_facts, root_of_key
from support.wav_files import acid, adtl, bext, chunk, cue, info, ixml, saved, smpl, wav

SECOND = bytes(96_000)


def facts_of(folder: Path, *chunks: tuple[bytes, bytes], samples: bytes = SECOND) -> MusicalFacts:
    return musical_facts(read_chunks(saved(folder, wav(chunks, samples=samples))), 48_000)


def test_nothing_is_known_of_a_plain_file(tmp_path: Path) -> None:
    assert facts_of(tmp_path) == MusicalFacts()


def test_a_loop_of_acid(tmp_path: Path) -> None:
    found = facts_of(tmp_path, (b"acid", acid(flags=6, root=62, beats=16, meter=(7, 8), tempo_bpm=174.1)))
    assert (found.tempo_bpm, found.beats, found.meter, found.key_root) == (174.1, 16, (7, 8), 2)


@pytest.mark.parametrize(
    ("flags", "beats", "tempo_bpm", "expected"),
    [
        (1, 8, 120.0, None),  # a one-shot has no tempo, whatever is written
        (5, 8, 120.0, None),
        (0, 8, 120.0, None),  # nobody has filled it in: 8 beats are 4 s, not 1
        (0, 2, 120.0, 120.0),  # its beats are as long as the file
        (2, 2, 119.0, 119.0),
        (2, 2, 110.0, None),
        (0, 0, 120.0, None),
        (4, 0, 98.5, 98.5),
        (8, 0, 98.5, 98.5),
        (4, 8, 0.0, None),
        (4, 8, float("nan"), None),
        (4, 8, float("inf"), None),
        (4, 8, 5000.0, None),
    ],
)
def test_when_the_tempo_of_acid_counts(
    tmp_path: Path, flags: int, beats: int, tempo_bpm: float, expected: float | None
) -> None:
    found = facts_of(tmp_path, (b"acid", acid(flags=flags, beats=beats, tempo_bpm=tempo_bpm)))
    assert found.tempo_bpm == expected
    assert found.meter == (None if expected is None else (4, 4))
    assert found.beats == (beats if expected and beats else None)


@pytest.mark.parametrize(
    ("meter", "expected"), [((0, 4), None), ((4, 0), None), ((3, 7), None), ((99, 4), None)]
)
def test_impossible_meters_are_none(tmp_path: Path, meter: tuple[int, int], expected: None) -> None:
    assert facts_of(tmp_path, (b"acid", acid(meter=meter))).meter is expected


def test_the_root_note_counts_only_when_it_is_set(tmp_path: Path) -> None:
    assert facts_of(tmp_path, (b"acid", acid(flags=4, root=62))).key_root is None
    assert facts_of(tmp_path, (b"acid", acid(flags=3, root=62))).key_root == 2
    assert facts_of(tmp_path, (b"smpl", smpl(note=62))).key_root is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("128", 128.0), ("97,5", 97.5), ("97.50 BPM", 97.5), ("fast", None), ("0", None), ("12800", None)],
)
def test_the_tempo_in_a_text(tmp_path: Path, text: str, expected: float | None) -> None:
    assert facts_of(tmp_path, (b"LIST", info(IBPM=text))).tempo_bpm == expected


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("C", 0), ("F#m", 6), ("Gb major", 6), ("B♭ minor", 10), ("a moll", 9), ("Amin", 9), ("Cb", 11),
        ("D sharp", 3), ("E-flat", 3), ("bb", 10), ("Bass", None), ("drums, loop", None), ("", None),
        ("8A", None), ("Am7", None), ("H", None),
    ],
)  # fmt: skip
def test_keys_and_keywords(tmp_path: Path, text: str, root: int | None) -> None:
    assert root_of_key(text) == root
    found = facts_of(tmp_path, (b"LIST", info(IKEY=text)))
    assert found.key_root == root
    assert found.key == (text if root is not None else None)


STEINBERG = (
    "<STEINBERG><ATTR_LIST><ATTR><NAME>MusicalTempo</NAME><VALUE>97.5</VALUE></ATTR>"
    "<ATTR><NAME>MusicalSignature</NAME><VALUE>6/8</VALUE></ATTR></ATTR_LIST></STEINBERG>"
)


def test_ixml_before_info_and_acid_before_both(tmp_path: Path) -> None:
    texts = [
        (b"iXML", ixml(STEINBERG + "<ASWG><inKey>Dm</inKey></ASWG>")),
        (b"LIST", info(IBPM="128", IKEY="C")),
    ]
    found = facts_of(tmp_path, *texts)
    assert (found.tempo_bpm, found.meter, found.key, found.key_root) == (97.5, (6, 8), "Dm", 2)
    assert found.beats is None
    better = facts_of(tmp_path, (b"acid", acid(flags=6, root=60, tempo_bpm=111)), *texts)
    assert (better.tempo_bpm, better.meter, better.key_root) == (111, (4, 4), 2)


def test_time_references(tmp_path: Path) -> None:
    stamp = (
        "<SPEED><TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>44100</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>"
        "<TIMESTAMP_SAMPLE_RATE>44100</TIMESTAMP_SAMPLE_RATE></SPEED>"
    )
    assert facts_of(tmp_path, (b"iXML", ixml(stamp))).time_reference_frames == 48_000
    both = facts_of(tmp_path, (b"iXML", ixml(stamp)), (b"bext", bext(time_reference=7)))
    assert both.time_reference_frames == 7
    copy = "<BEXT><BWF_TIME_REFERENCE_LOW>5</BWF_TIME_REFERENCE_LOW></BEXT>"
    assert facts_of(tmp_path, (b"iXML", ixml(copy))).time_reference_frames == 5
    assert facts_of(tmp_path, (b"bext", bext())).time_reference_frames == 0


def test_markers_with_their_labels_in_order(tmp_path: Path) -> None:
    note = chunk(b"note", struct.pack("<I", 3) + b"a note\0")
    text = chunk(b"ltxt", struct.pack("<II4s4H", 4, 10, b"rgn ", 0, 0, 0, 0) + b"a region\0")
    labels = adtl((1, "Verse"), (2, "Chorus")) + note + text
    points = cue((2, 900), (1, 5), (3, 1000), (4, 1100), (5, 1200))
    found = facts_of(tmp_path, (b"cue ", points), (b"LIST", labels))
    assert found.markers == ((5, "Verse"), (900, "Chorus"), (1000, "a note"), (1100, "a region"), (1200, ""))
