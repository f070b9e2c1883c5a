"""Reading the chunks of whole, odd and damaged files, and writing them again bit by bit."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import AudioError
from bridge.media.wav_assembly import write_chunks
from bridge.media.wav_bext import Bext
from bridge.media.wav_chunks import FilePart, RawChunk, WavChunks, read_chunks
from bridge.media.wav_tags import Info
from support.audio_samples import phrase, write
from support.wav_files import SAMPLES, acid, adtl, bext, chunk, cue, info, ixml, rf64, saved, smpl, wav

FULL = [
    (b"bext", bext(time_reference=96_000, history=b"A=PCM\r\n")),
    (b"iXML", ixml("<PROJECT>Song</PROJECT>")),
    (b"JUNK", bytes(27)),
    (b"acid", acid()),
    (b"LIST", info(INAM="Title")),
]
FULL_AFTER = [
    (b"cue ", cue((1, 100))),
    (b"LIST", adtl((1, "Verse"))),
    (b"smpl", smpl((10, 1000))),
    (b"id3 ", b"ID3\4\0\0\0\0\0\0"),
    (b"what", b"\1\2\3"),
]


def again(folder: Path, content: bytes, name: str = "take.wav") -> bytes:
    """The file after its chunks were read and written."""
    source = saved(folder, content, name)
    write_chunks(source, folder / f"out-{name}", read_chunks(source))
    return (folder / f"out-{name}").read_bytes()


def names(chunks: WavChunks) -> list[bytes]:
    return [one.name for one in chunks.all]


def test_all_kinds_are_read_in_their_order_and_side(tmp_path: Path) -> None:
    chunks = read_chunks(saved(tmp_path, wav(FULL, FULL_AFTER)))
    assert [one.name for one in chunks.before] == [b"fmt ", b"bext", b"iXML", b"JUNK", b"acid", b"LIST"]
    assert [one.name for one in chunks.after] == [b"cue ", b"LIST", b"smpl", b"id3 ", b"what"]
    assert chunks.after[-1] == RawChunk(b"what", b"\1\2\3")
    assert chunks.frames == 2000
    assert chunks.rate_hz == 48_000
    assert chunks.warnings == ()
    assert chunks.bext is not None
    assert chunks.bext.time_reference == 96_000
    assert chunks.ixml is not None
    assert chunks.ixml.project == "Song"
    assert chunks.acid is not None
    assert chunks.sampler is not None
    assert chunks.cues is not None
    assert chunks.labels is not None
    assert chunks.labels.texts(b"labl") == {1: "Verse"}
    assert chunks.info == {"INAM": "Title"}


@pytest.mark.parametrize("make", [wav, rf64])
def test_a_file_is_written_again_bit_by_bit(tmp_path: Path, make: object) -> None:
    assert callable(make)
    content = make(FULL, FULL_AFTER)
    assert again(tmp_path, content) == content


@pytest.mark.parametrize(
    ("kind", "subtype", "name"),
    [
        ("WAV", "PCM_U8", "a.wav"),
        ("WAVEX", "PCM_24", "a.wav"),
        ("WAV", "FLOAT", "a.wav"),
        ("WAV", "IMA_ADPCM", "a.wav"),
        ("RF64", "PCM_16", "a.wav"),
        ("AIFF", "PCM_24", "a.aiff"),
        ("AIFF", "FLOAT", "a.aifc"),
    ],
)
def test_files_of_libsndfile_are_written_again_bit_by_bit(
    tmp_path: Path, kind: str, subtype: str, name: str
) -> None:
    content = write(
        tmp_path / "made", phrase(frames=999, channels=1), kind=kind, subtype=subtype
    ).read_bytes()
    assert again(tmp_path, content, name) == content


NAMES = st.binary(min_size=4, max_size=4).map(lambda raw: bytes(33 + byte % 90 for byte in raw))
OTHERS = st.lists(
    st.tuples(NAMES.filter(lambda name: name not in (b"fmt ", b"data", b"fact")), st.binary(max_size=60)),
    max_size=5,
)


@pytest.mark.slow
@given(before=OTHERS, after=OTHERS, samples=st.binary(min_size=1, max_size=50))
def test_any_chunks_pass_through_untouched(
    tmp_path_factory: pytest.TempPathFactory, before: object, after: object, samples: bytes
) -> None:
    content = wav(before, after, samples=samples)  # type: ignore[arg-type]  # what hypothesis drew
    assert again(tmp_path_factory.mktemp("any"), content) == content


def test_riffx_is_passed_on_without_being_read(tmp_path: Path) -> None:
    fmt = struct.pack(">HHIIHH", 1, 1, 48_000, 96_000, 2, 16)
    body = b"WAVE" + chunk(b"fmt ", fmt, order=">") + chunk(b"cue ", bytes(4), order=">")
    body += chunk(b"data", SAMPLES, order=">")
    content = b"RIFX" + struct.pack(">I", len(body)) + body
    chunks = read_chunks(saved(tmp_path, content))
    assert chunks.cues is None
    assert chunks.rate_hz == 48_000
    assert again(tmp_path, content) == content


def test_two_lists_and_two_texts_of_a_name(tmp_path: Path) -> None:
    lists = [
        (b"LIST", info(INAM="first")),
        (b"LIST", info(INAM="second", IBPM="120")),
        (b"LIST", adtl((1, "a"))),
    ]
    chunks = read_chunks(saved(tmp_path, wav(lists, [(b"LIST", adtl((2, "b")))])))
    assert chunks.info == {"INAM": "first", "IBPM": "120"}
    assert chunks.labels is not None
    assert chunks.labels.texts(b"labl") == {1: "a", 2: "b"}


def test_of_two_descriptions_the_first_counts_and_both_stay(tmp_path: Path) -> None:
    content = wav([(b"fmt ", b"another one here")])
    chunks = read_chunks(saved(tmp_path, content))
    assert chunks.rate_hz == 48_000
    assert again(tmp_path, content) == content


@pytest.mark.parametrize("bits", [0, 16])
def test_an_impossible_description_is_passed_on(tmp_path: Path, bits: int) -> None:
    content = wav(fmt=struct.pack("<HHIIHH", 1, 1 if bits == 0 else 0, 48_000, 0, 0, bits))
    assert read_chunks(saved(tmp_path, content)).frames is None
    assert again(tmp_path, content) == content


def test_the_padding_of_odd_chunks_is_no_chunk(tmp_path: Path) -> None:
    content = wav([(b"odd1", b"abc")], [(b"odd2", b"x"), (b"even", b"xy")], samples=b"\1\2\3")
    chunks = read_chunks(saved(tmp_path, content))
    assert names(chunks) == [b"fmt ", b"odd1", b"odd2", b"even"]
    assert again(tmp_path, content) == content


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF])
def test_streamed_files_that_never_counted_their_samples(tmp_path: Path, claimed: int) -> None:
    content = wav([(b"bext", bext(time_reference=7))], data_size=claimed, riff_size=claimed)
    source = saved(tmp_path, content)
    chunks = read_chunks(source)
    assert chunks.frames == 2000
    assert chunks.bext is not None
    write_chunks(source, tmp_path / "out.wav", chunks)
    assert (tmp_path / "out.wav").read_bytes() == wav([(b"bext", bext(time_reference=7))])


def test_no_samples_but_chunks_behind_them(tmp_path: Path) -> None:
    content = wav([], [(b"LIST", info(INAM="empty"))], samples=b"")
    chunks = read_chunks(saved(tmp_path, content))
    assert chunks.frames == 0
    assert chunks.info == {"INAM": "empty"}
    assert again(tmp_path, content) == content


def test_samples_that_outgrew_their_header_are_kept(tmp_path: Path) -> None:
    source = saved(tmp_path, wav([(b"acid", acid())]) + b"\5\6" * 4000)
    chunks = read_chunks(source)
    assert chunks.frames == 6000
    assert names(chunks) == [b"fmt ", b"acid"]


def test_a_chunk_that_claims_4_gb_is_refused(tmp_path: Path) -> None:
    whole = wav([(b"bext", bext())], [(b"iXML", b"<BWFXML/>_")])
    content = whole[:-14] + struct.pack("<I", 0xFFFFFFF0) + whole[-10:]
    chunks = read_chunks(saved(tmp_path, content))
    assert names(chunks) == [b"fmt ", b"bext"]
    assert [one for one in chunks.warnings if "iXML" in one and "left out" in one]
    first = (
        b"RIFF" + struct.pack("<I", 1000) + b"WAVE" + struct.pack("<4sI", b"bext", 0xFFFFFFF0) + bytes(900)
    )
    early = read_chunks(saved(tmp_path, first))
    assert early.all == ()
    assert early.frames is None
    assert early.warnings


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (b"bext", b"too short"),
        (b"iXML", b"<BWFXML><PROJECT>never closed"),
        (b"iXML", b'<!DOCTYPE a [<!ENTITY b "c">]><BWFXML><PROJECT>&b;</PROJECT></BWFXML>'),
        (b"acid", b"\1\2\3"),
        (b"smpl", struct.pack("<9I", 0, 0, 0, 60, 0, 0, 0, 99, 0)),
        (b"cue ", struct.pack("<I", 1_000_000)),
        (b"cue ", b""),
    ],
)
def test_damaged_chunks_are_told_and_passed_on(tmp_path: Path, name: bytes, body: bytes) -> None:
    content = wav([(name, body), (b"LIST", info(INAM="still read"))])
    chunks = read_chunks(saved(tmp_path, content))
    assert len(chunks.warnings) == 1
    assert name.decode().strip() in chunks.warnings[0]
    assert chunks.info == {"INAM": "still read"}
    assert (chunks.bext, chunks.ixml, chunks.acid, chunks.sampler, chunks.cues) == (None,) * 5
    assert again(tmp_path, content) == content


def test_garbage_at_the_end_is_told_and_zeros_are_not(tmp_path: Path) -> None:
    padded = read_chunks(saved(tmp_path, wav() + bytes(12)))
    assert padded.warnings == ()
    dirty = read_chunks(saved(tmp_path, wav() + b"\xff\xfe\1\2\3\4\5\6\7\x08\x09"))
    assert names(dirty) == [b"fmt "]
    assert len(dirty.warnings) == 1


def test_a_tag_appended_by_another_program_is_no_chunk(tmp_path: Path) -> None:
    chunks = read_chunks(saved(tmp_path, wav() + b"TAG" + b"Title".ljust(125, b"\0")))
    assert names(chunks) == [b"fmt "]
    assert len(chunks.warnings) == 1


def test_large_chunks_stay_in_the_file(tmp_path: Path) -> None:
    large = os.urandom(1024) * 1100
    content = wav([(b"SAUR", large)], [(b"SAUR", large[:-1])])
    chunks = read_chunks(saved(tmp_path, content))
    assert isinstance(chunks.before[1].body, FilePart)
    assert chunks.before[1].size == len(large)
    assert again(tmp_path, content) == content


def test_a_large_known_chunk_is_told_and_passed_on(tmp_path: Path) -> None:
    content = wav([(b"iXML", ixml("<NOTE>" + " " * (1 << 20) + "</NOTE>"))])
    chunks = read_chunks(saved(tmp_path, content))
    assert chunks.ixml is None
    assert "larger than 1 MiB" in chunks.warnings[0]
    assert again(tmp_path, content) == content


def test_a_file_that_does_not_describe_its_samples_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path, b"RIFF\x0c\0\0\0WAVEdata\4\0\0\0abcd")
    with pytest.raises(AudioError, match="describe"):
        write_chunks(source, tmp_path / "out.wav", read_chunks(source))


def test_a_set_of_chunks_without_a_description_gets_that_of_the_samples(tmp_path: Path) -> None:
    source = saved(tmp_path, wav())
    write_chunks(source, tmp_path / "out.wav", WavChunks().with_typed(Info.make({"INAM": "x"})))
    assert (tmp_path / "out.wav").read_bytes() == wav([(b"LIST", info(INAM="x"))])


def test_writing_says_when_a_large_chunk_has_gone(tmp_path: Path) -> None:
    source = saved(tmp_path, wav([], [(b"SAUR", bytes(2 << 20))]))
    chunks = read_chunks(source)
    saved(tmp_path, wav())
    with pytest.raises(AudioError, match="shorter") as caught:
        write_chunks(source, tmp_path / "out.wav", chunks)
    assert caught.value.file == str(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take.wav"]


def test_a_file_may_be_written_over_itself(tmp_path: Path) -> None:
    source = saved(tmp_path, wav([(b"LIST", info(INAM="a"))]))
    write_chunks(source, source, read_chunks(source).with_typed(Info.make({"INAM": "another title"})))
    assert read_chunks(source).info == {"INAM": "another title"}
    assert SAMPLES in source.read_bytes()


def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    source = saved(tmp_path, wav())

    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_chunks(source, tmp_path / "out.wav", read_chunks(source), check=cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["take.wav"]


def test_a_new_chunk_stands_before_the_samples_and_an_old_one_keeps_its_place(tmp_path: Path) -> None:
    chunks = read_chunks(saved(tmp_path, wav([(b"acid", acid())], [(b"bext", bext())])))
    new = chunks.with_typed(Bext.make(time_reference=5)).with_typed(Info.make({"INAM": "x"}))
    assert [one.name for one in new.before] == [b"fmt ", b"acid", b"LIST"]
    assert new.bext is not None
    assert new.bext.time_reference == 5
    assert [one.name for one in new.after] == [b"bext"]


def test_chunks_stay_with_their_kind_of_file() -> None:
    for magic in (b"FORM", b"RIFX"):
        with pytest.raises(ValueError, match="belong"):
            WavChunks(magic=magic).with_typed(Bext.make(time_reference=0))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"fLaC" + bytes(100), b"hello" * 50])
def test_other_files_are_refused_with_their_name(tmp_path: Path, content: bytes) -> None:
    path = saved(tmp_path, content, "thing.wav")
    if content == b"RIFF":
        assert read_chunks(path).all == ()
        return
    with pytest.raises(AudioError) as caught:
        read_chunks(path)
    assert caught.value.file == str(path)
    assert caught.value.remedy


def test_a_file_that_is_gone_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.wav", tmp_path):
        with pytest.raises(AudioError) as caught:
            read_chunks(path)
        assert caught.value.remedy


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="plain file"):
        read_chunks(tmp_path / "pipe.wav")
