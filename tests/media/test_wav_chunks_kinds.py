"""Each known kind of chunk: what it says, and that it is written again bit by bit, whatever it holds."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.wav_bext import Bext, Loudness
from bridge.media.wav_cues import CuePoint, Cues, Labels, Loop, Marks, Sampler, label, region
from bridge.media.wav_fields import MOST_ENTRIES, Entry, fixed_text, scaled, text_of
from bridge.media.wav_format import SampleFormat, build_comm, build_fmt, parse_comm, parse_fmt
from bridge.media.wav_ixml import Ixml
from bridge.media.wav_tags import Acid, Ds64, Info
from support.wav_files import acid, adtl, bext, chunk, cue, info, ixml, smpl

U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (16, 32, 64))
TAIL = st.binary(max_size=9)
ENTRIES = st.lists(
    st.tuples(st.sampled_from([b"labl", b"note", b"ltxt", b"INAM", b"IKEY"]), st.binary(max_size=40))
)
WHOLE = [
    (Bext.parse, st.binary(min_size=348, max_size=700)),
    (Acid.parse, st.binary(min_size=24, max_size=40)),
    (Cues.parse, st.lists(st.binary(min_size=24, max_size=24)).map(lambda rows: (len(rows), b"".join(rows)))),
    (
        Sampler.parse,
        st.lists(st.binary(min_size=24, max_size=24)).map(lambda rows: (len(rows), b"".join(rows))),
    ),
    (Labels.parse, ENTRIES.map(lambda rows: b"adtl" + b"".join(chunk(*row) for row in rows))),
    (Info.parse, ENTRIES.map(lambda rows: b"INFO" + b"".join(chunk(*row) for row in rows))),
]


@pytest.mark.slow
@given(data=st.data())
@pytest.mark.parametrize(("parse", "bodies"), WHOLE, ids=["bext", "acid", "cue", "smpl", "adtl", "INFO"])
def test_any_whole_chunk_comes_out_as_it_went_in(
    parse: Callable[[bytes], Bext | Acid | Cues | Sampler | Labels | Info],
    bodies: st.SearchStrategy[object],
    data: st.DataObject,
) -> None:
    drawn, tail = data.draw(bodies), data.draw(TAIL)
    raw = (
        drawn
        if isinstance(drawn, bytes)
        else _counted(drawn, data.draw(st.binary(min_size=32, max_size=32)), parse)
    )
    assert parse(raw + tail).to_bytes() == raw + tail


def _counted(drawn: object, fields: bytes, parse: object) -> bytes:
    """A count in its place before the rows: `smpl` has seven fields before it and one behind."""
    assert isinstance(drawn, tuple)
    count, rows = drawn
    number = struct.pack("<I", count)
    return bytes(number + rows if parse == Cues.parse else fields[:28] + number + fields[28:] + rows)


@given(st.lists(st.tuples(st.integers(-9, 9), U32, st.binary(max_size=30))), TAIL)
def test_any_aiff_markers_come_out_as_they_went_in(marks: list[tuple[int, int, bytes]], tail: bytes) -> None:
    rows = [
        struct.pack(">hIB", key, at, len(name)) + name + bytes((1 + len(name)) % 2) for key, at, name in marks
    ]
    raw = struct.pack(">H", len(rows)) + b"".join(rows) + tail
    found = Marks.parse(raw)
    assert found.to_bytes() == raw
    assert [(one.id, one.frame) for one in found.marks] == [(key, at) for key, at, _ in marks]


@given(U64, U64, U64, st.lists(st.tuples(st.binary(min_size=4, max_size=4), U64), max_size=3), TAIL)
def test_any_ds64(riff: int, data: int, frames: int, table: list[tuple[bytes, int]], tail: bytes) -> None:
    one = Ds64(riff, data, frames, tuple(table), tail)
    assert Ds64.parse(one.to_bytes()) == one


@pytest.mark.slow
@given(
    st.tuples(U32, st.integers(0, 127), U32),
    st.lists(st.builds(Loop, U32, U32, U32, U32, U32, U32), max_size=4),
    st.lists(st.builds(CuePoint, U32, U32, U32, st.just(b"data"), U32, U32), max_size=4),
)
def test_made_chunks_are_read_back(
    fields: tuple[int, int, int], loops: list[Loop], points: list[CuePoint]
) -> None:
    sampler = Sampler(*fields, tuple(loops))
    assert Sampler.parse(sampler.to_bytes()) == sampler
    assert Cues.parse(Cues(tuple(points)).to_bytes()).points == tuple(points)


@pytest.mark.parametrize(
    ("parse", "raw"),
    [
        (Bext.parse, bytes(347)),
        (Acid.parse, bytes(23)),
        (Cues.parse, b"\1\0\0"),
        (Cues.parse, struct.pack("<I", 1) + bytes(23)),
        (Cues.parse, struct.pack("<I", MOST_ENTRIES + 1) + bytes(24 * (MOST_ENTRIES + 1))),
        (Sampler.parse, bytes(35)),
        (Sampler.parse, struct.pack("<9I", *[0] * 7, 1, 0)),
        (Labels.parse, b"INFO"),
        (Labels.parse, b"adtl" + chunk(b"labl", b"") * (MOST_ENTRIES + 1)),
        (Info.parse, b"adtl"),
        (Marks.parse, b"\0"),
        (Marks.parse, b"\0\1" + bytes(5)),
        (Marks.parse, b"\0\1" + bytes(6) + b"\7abc"),
        (Ds64.parse, bytes(27)),
        (Ds64.parse, bytes(24) + struct.pack("<I", 1)),
        (parse_fmt, bytes(15)),
        (parse_fmt, bytes(16)),
    ],
)
def test_damaged_chunks_raise_one_kind_of_error(parse: Callable[[bytes], object], raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"it|is"):
        parse(raw)


# --- bext ---------------------------------------------------------------------------------------------------


def test_bext_of_version_2() -> None:
    raw = bext(
        time_reference=(3 << 32) + 5,
        description="Strophe für Lena".encode(),
        loudness=(-2301, 512, -99, 0x7FFF, -1800),
        history=b"A=PCM,F=48000\r\n\0\0",
    )
    one = Bext.parse(raw)
    assert one.description == "Strophe für Lena"
    assert (one.originator, one.reference, one.date, one.time) == ("Studio", "REF1", "2026-01-31", "12:34:56")
    assert one.time_reference == (3 << 32) + 5
    assert one.version == 2
    assert one.umid == bytes(range(64))
    assert one.loudness == Loudness(-23.01, 5.12, -0.99, None, -18.0)
    assert one.coding_history == "A=PCM,F=48000"


@pytest.mark.parametrize("version", [0, 1])
def test_older_bext_has_no_loudness(version: int) -> None:
    one = Bext.parse(bext(version=version, loudness=(1, 2, 3, 4, 5)))
    assert one.loudness == Loudness()
    assert one.umid == (bytes(64) if version == 0 else bytes(range(64)))
    assert one.without_loudness() == one


def test_a_short_bext_is_read_as_far_as_it_goes() -> None:
    one = Bext.parse(bext(time_reference=9)[:380])
    assert one.time_reference == 9
    assert len(one.umid) == 64
    assert one.loudness == Loudness()
    assert one.without_loudness() == one
    assert one.coding_history == ""


def test_bext_changes_only_what_it_is_told_to() -> None:
    raw = bext(time_reference=1, loudness=(1, 2, 3, 4, 5), history=b"x")
    moved = Bext.parse(raw).with_time_reference(2)
    assert moved.to_bytes() == bext(time_reference=2, loudness=(1, 2, 3, 4, 5), history=b"x")
    assert moved.without_loudness().to_bytes() == bext(time_reference=2, history=b"x")
    for frames in (-1, 1 << 64):
        with pytest.raises(ValueError, match="time reference"):
            moved.with_time_reference(frames)


def test_a_new_bext() -> None:
    made = Bext.make(time_reference=77, description="ü" * 200, originator="me", coding_history="A=PCM\r\n")
    assert len(made.to_bytes()) == 602 + 7
    assert made.description == "ü" * 128
    assert (made.time_reference, made.version, made.loudness) == (77, 2, Loudness())
    assert made.coding_history == "A=PCM"


# --- iXML ---------------------------------------------------------------------------------------------------

SPEED = (
    "<SPEED><NOTE>n</NOTE><FILE_SAMPLE_RATE>48000</FILE_SAMPLE_RATE>"
    "<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>1</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"
    "<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO> 10 </TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>"
    "<TIMESTAMP_SAMPLE_RATE>48000</TIMESTAMP_SAMPLE_RATE></SPEED>"
)
STEINBERG = (
    "<STEINBERG><ATTR_LIST><ATTR><TYPE>float</TYPE><NAME>MusicalTempo</NAME><VALUE>97.5</VALUE></ATTR>"
    "<ATTR><TYPE>string</TYPE><NAME>MediaCompany</NAME><VALUE/></ATTR></ATTR_LIST></STEINBERG>"
)


def test_ixml_values() -> None:
    one = Ixml.parse(
        ixml(f"<PROJECT>A &amp; B</PROJECT><SCENE>3</SCENE><TAKE>2</TAKE>{SPEED}{STEINBERG}") + bytes(5)
    )
    assert (one.project, one.scene, one.take, one.note) == ("A & B", "3", "2", None)
    assert one.sample_rate_hz == 48_000
    assert one.timestamp_frames == (1 << 32) + 10
    assert one.get("SPEED/NOTE") == "n"
    assert one.get("STEINBERG/MusicalTempo") == "97.5"
    assert one.get("STEINBERG/MediaCompany") is None
    assert one.time_reference is None
    assert one.text.startswith("<?xml")


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_ixml_in_other_encodings_is_read_and_changed_in_its_own(codec: str) -> None:
    named = {"latin-1": "ISO-8859-1"}.get(codec, codec.removesuffix("-sig"))
    text = f'<?xml version="1.0" encoding="{named}"?><BWFXML><PROJECT>Grün</PROJECT>{SPEED}</BWFXML>'
    one = Ixml.parse(text.encode(codec))
    assert one.project == "Grün"
    changed = one.for_rate(48_000, 44_100)
    assert changed.sample_rate_hz == 44_100
    expected = (
        text.replace(">48000<", ">44100<").replace("_HI>1<", "_HI>0<").replace("> 10 <", "> 3946001212 <")
    )
    assert changed.to_bytes() == expected.encode(codec)


def test_ixml_that_names_no_encoding_is_taken_as_it_can_be() -> None:
    assert Ixml.parse("<BWFXML><PROJECT>Grün</PROJECT></BWFXML>".encode("latin-1")).project == "Grün"
    assert Ixml.parse(b"<?xml version='1.0' encoding='rot13'?><A><PROJECT>x</PROJECT></A>").project == "x"


HOSTILE = {
    "entities": '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a><PROJECT>&c;</PROJECT></a>',
    "an outer file": '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    "depth": "<a>" * 5000 + "</a>" * 5000,
    "elements": "<a>" + "<b/>" * 100_000 + "</a>",
    "attributes": "<a " + " ".join(f'b{n}=">"' for n in range(5000)) + "/>",
    "not closed": "<a><b></a>",
    "size": "<a>" + " " * (1 << 20) + "</a>",
    "no text": "\x01\x02",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_ixml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it|tag"):
        Ixml.parse(text.encode())


def test_odd_bytes_in_utf_16_are_refused() -> None:
    with pytest.raises(ValueError, match="decoded"):
        Ixml.parse(b"\xff\xfe<\0a\0/\0>")


@pytest.mark.parametrize(
    "inside",
    [
        "<LOUDNESS>" * 50_000,
        "<FILE_SAMPLE_RATE>" + " " * 500_000,
        "<a" * 250_000,
        "<FILE_SAMPLE_RATE>" * 30_000,
    ],
)
def test_no_text_makes_reading_or_changing_slow(inside: str) -> None:
    begun = time.perf_counter()
    one = Ixml.parse(f"<BWFXML><![CDATA[{inside}]]></BWFXML>".encode())
    one.for_rate(48_000, 44_100).for_cut(1, 44_100).without_loudness()
    assert time.perf_counter() - begun < 2


def test_ixml_of_a_part() -> None:
    raw = ixml(
        f"{SPEED}<BEXT><BWF_TIME_REFERENCE_LOW>4294967295</BWF_TIME_REFERENCE_LOW>"
        "<BWF_TIME_REFERENCE_HIGH>0</BWF_TIME_REFERENCE_HIGH></BEXT>"
        "<LOUDNESS><LOUDNESS_VALUE>-23</LOUDNESS_VALUE></LOUDNESS><SYNC_POINT_LIST><X/></SYNC_POINT_LIST>"
    )
    part = Ixml.parse(raw).for_cut(96_000, 48_000)
    assert part.timestamp_frames == (1 << 32) + 10 + 96_000
    assert part.time_reference == 0xFFFFFFFF + 96_000
    assert "LOUDNESS" not in part.text
    assert "SYNC_POINT" not in part.text
    assert part.sample_rate_hz == 48_000
    assert Ixml.parse(ixml("")).for_cut(5, 48_000).to_bytes() == ixml("")


def test_a_time_stamp_at_its_own_rate_stays_right() -> None:
    raw = ixml(SPEED.replace("RATE>48000</TIMESTAMP", "RATE>1000</TIMESTAMP"))
    one = Ixml.parse(raw)
    assert one.timestamp_rate_hz == 1000
    assert one.for_rate(48_000, 96_000).timestamp_frames == one.timestamp_frames
    assert one.for_cut(48_000, 48_000).timestamp_frames == (1 << 32) + 1010


# --- the others ---------------------------------------------------------------------------------------------


def test_acid_fields() -> None:
    one = Acid.parse(acid(flags=0x16, root=62, beats=16, meter=(7, 8), tempo_bpm=97.5))
    assert (one.root_note, one.beats, one.meter, one.tempo_bpm) == (62, 16, (7, 8), 97.5)
    assert (one.is_one_shot, one.stretches, one.is_disk_based) == (False, True, False)
    assert one.with_beats(3).to_bytes() == acid(flags=0x16, root=62, beats=3, meter=(7, 8), tempo_bpm=97.5)
    assert Acid.parse(acid(flags=9)).root_note is None
    assert Acid.parse(acid(flags=9)).is_one_shot
    made = Acid.make(tempo_bpm=120, beats=8, meter=(3, 4), root_note=57)
    assert made.to_bytes() == acid(flags=6, root=57, meter=(3, 4))


def test_labels_regions_and_notes() -> None:
    one = Labels.parse(adtl((1, "Verse"), (2, "Chorus"), (1, "again"), regions=[(2, 480)]))
    assert one.texts(b"labl") == {1: "Verse", 2: "Chorus"}
    assert [(each.cue_id, each.frames, each.purpose) for each in one.regions] == [(2, 480, b"rgn ")]
    made = Labels((label(1, "Verse"), region(1, 480, text="long")))
    assert Labels.parse(made.to_bytes()) == made
    assert made.regions[0].text == "long"
    damaged = Labels((Entry.of(b"labl", b"\1"), Entry.of(b"ltxt", bytes(5))))
    assert damaged.texts(b"labl") == {}
    assert damaged.regions == ()


def test_info_without_the_padding_that_it_should_have() -> None:
    raw = b"INFO" + struct.pack("<4sI", b"INAM", 3) + b"abc" + struct.pack("<4sI", b"IART", 4) + b"def\0"
    one = Info.parse(raw)
    assert one.texts == {"INAM": "abc", "IART": "def"}
    assert one.to_bytes() == raw
    assert Info.parse(info(IKEY="Dm", ICMT="")).texts == {"IKEY": "Dm"}
    assert Info.make({"INAM": "Tür"}).to_bytes() == info(INAM="Tür")


def test_cue_points_of_writers_that_fill_in_one_place() -> None:
    point = CuePoint(1, 500, 0)
    assert point.frame == 500
    assert point.at(20) == CuePoint(1, 20, 0)
    assert CuePoint(1, 3, 500).at(20) == CuePoint(1, 3, 20)
    assert CuePoint(1, 500, 500).at(20) == CuePoint(1, 20, 20)
    assert Cues.parse(cue((4, 9))).points == (CuePoint(4, 9, 9),)


def test_sampler_fields() -> None:
    one = Sampler.parse(smpl((10, 99), note=62) + b"own")
    assert (one.unity_note, one.sample_period_ns, one.loops, one.tail) == (
        62,
        20_833,
        (Loop(0, 0, 10, 99),),
        b"own",
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "made",
    [
        SampleFormat(1, 2, 44_100, 16, 16),
        SampleFormat(3, 1, 96_000, 32, 32),
        SampleFormat(1, 6, 48_000, 32, 24, 0x3F, is_extensible=True),
    ],
)
def test_descriptions_of_samples(made: SampleFormat, order: str) -> None:
    assert parse_fmt(build_fmt(made, order), order) == made


@pytest.mark.parametrize("rate_hz", [1, 8000, 22_050, 44_100, 192_000, 1_536_000])
def test_the_rate_of_an_aiff(rate_hz: int) -> None:
    made = SampleFormat(1, 2, rate_hz, 24, 20)
    assert parse_comm(build_comm(made, 5, b""), b"AIFF") == made
    floats = SampleFormat(3, 2, rate_hz, 32, 32)
    assert parse_comm(build_comm(floats, 5, b"fl32"), b"AIFC") == floats
    for raw in (bytes(17), bytes(18)):
        with pytest.raises(ValueError, match="it"):
            parse_comm(raw, b"AIFF")


def test_texts() -> None:
    assert text_of(b" abc \0def") == "abc"
    assert text_of("Grün".encode("latin-1")) == "Grün"
    assert fixed_text("aü", 2) == b"a\0"
    assert (scaled(1, 2, 1), scaled(48_000, 48_000, 44_100), scaled(0, 1, 9)) == (1, 44_100, 0)
