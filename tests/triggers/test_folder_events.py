"""Each row of the table of folder events, as a real file operation: found exactly once."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.triggers import watch
from support.trigger_bench import PATIENT, Bench, until, wav

# watchdog's own, where a folder is made and filled while it is being listed (see bridge/triggers/watch.py).
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

Operation = Callable[[Bench, Path], None]


def slow_write(bench: Bench, path: Path) -> None:
    data = wav(400)
    with path.open("wb") as file:
        for start in range(0, len(data), 100):
            file.write(data[start : start + 100])
            file.flush()
            time.sleep(0.02)


def two_closes(bench: Bench, path: Path) -> None:
    """As Ardour does: a placeholder of 44 bytes, the samples, a close; the header again, a close."""
    with path.open("wb") as file:
        file.write(wav(0, promised_frames=300)[:44])
        file.flush()
        file.write(wav(300)[44:])
    with path.open("r+b") as file:
        file.write(wav(300)[:44])


def placeholder(bench: Bench, path: Path) -> None:
    path.touch()
    time.sleep(0.05)
    path.write_bytes(wav())


def temp_name_then_rename(bench: Bench, path: Path) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(wav())
    temporary.rename(path)


def audio_name_then_rename(bench: Bench, path: Path) -> None:
    # The first name is a bounce's name too: it is gone before it has settled.
    temporary = path.with_name("render in progress.wav")
    temporary.write_bytes(wav())
    temporary.rename(path)


def renamed_in_from_outside(bench: Bench, path: Path) -> None:
    outside = bench.apart / path.name
    outside.write_bytes(wav())
    outside.rename(path)


def old_file_renamed_in(bench: Bench, path: Path) -> None:
    outside = bench.apart / path.name
    outside.write_bytes(wav())
    os.utime(outside, (1_000_000_000, 1_000_000_000))
    outside.rename(path)


def moved_in_from_another_file_system(bench: Bench, path: Path) -> None:
    other = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else bench.apart
    outside = other / f"{os.getpid()} {path.name}"
    outside.write_bytes(wav())
    shutil.move(outside, path)


def copied_with_its_time(bench: Bench, path: Path) -> None:
    outside = bench.apart / path.name
    outside.write_bytes(wav())
    os.utime(outside, (1_000_000_000, 1_000_000_000))
    shutil.copy2(outside, path)


def mapped_write_after_close(bench: Bench, path: Path) -> None:
    data = wav(200)
    with path.open("w+b") as file:
        file.write(wav(0, promised_frames=200)[:44])
        file.truncate(len(data) - 2)
        mapping = mmap.mmap(file.fileno(), len(data) - 2)
    mapping[44:] = data[44:-2]
    mapping[:44] = wav(199)[:44]
    mapping.flush()
    mapping.close()


def hard_link(bench: Bench, path: Path) -> None:
    outside = bench.apart / path.name
    outside.write_bytes(wav())
    os.link(outside, path)


def soft_link(bench: Bench, path: Path) -> None:
    outside = bench.apart / path.name
    outside.write_bytes(wav())
    path.symlink_to(outside)


OPERATIONS: tuple[Operation, ...] = (
    slow_write,
    two_closes,
    placeholder,
    temp_name_then_rename,
    audio_name_then_rename,
    renamed_in_from_outside,
    old_file_renamed_in,
    moved_in_from_another_file_system,
    copied_with_its_time,
    mapped_write_after_close,
    hard_link,
    soft_link,
)


@pytest.mark.parametrize("polling", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_each_way_to_make_a_file_is_found_once(bench: Bench, polling: bool) -> None:
    bench.trigger(polling=polling)
    paths = [bench.folder / f"{operation.__name__}.wav" for operation in OPERATIONS]
    for operation, path in zip(OPERATIONS, paths, strict=True):
        operation(bench, path)
    bench.expect(*paths, thorough=True)


@pytest.mark.parametrize("polling", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_overwritten_file_is_found_again(bench: Bench, polling: bool) -> None:
    bench.trigger(polling=polling)
    path = bench.folder / "take.wav"
    path.write_bytes(wav(100))
    bench.expect(path)
    path.write_bytes(wav(200))
    bench.expect(path, times=2)
    assert bench.diary.accepted[-2].fingerprint.size == len(wav(200))


def test_a_new_folder_with_a_file_at_once(bench: Bench) -> None:
    bench.trigger()
    paths = [bench.folder / f"session {number}" / "export" / "take.wav" for number in range(20)]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(wav())
    bench.expect(*paths)


@pytest.mark.slow
def test_a_copied_tree(bench: Bench) -> None:
    bench.trigger()
    source = bench.apart / "session"
    (source / "deep" / "deeper").mkdir(parents=True)
    names = ["a.wav", "deep/b.wav", "deep/deeper/c.wav"]
    for name in names:
        (source / name).write_bytes(wav())
    shutil.copytree(source, bench.folder / "session")
    bench.expect(*(bench.folder / "session" / name for name in names))


@pytest.mark.slow
def test_a_tree_moved_in_and_a_file_put_into_it_later(bench: Bench) -> None:
    bench.trigger()
    source = bench.apart / "session"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.wav").write_bytes(wav())
    source.rename(bench.folder / "session")
    first = bench.folder / "session" / "deep" / "a.wav"
    bench.expect(first)
    later = first.with_name("later.wav")
    later.write_bytes(wav())
    bench.expect(first, later)


def test_a_folder_moved_out_reports_nothing_any_more(bench: Bench) -> None:
    inside = bench.folder / "session"
    inside.mkdir()
    bench.trigger()
    waiting = inside / "waiting.wav"
    waiting.write_bytes(wav(0, promised_frames=100))
    until(lambda: len(bench.triggers[0]._settler) == 1, "the unfinished file is a candidate")
    outside = bench.apart / "session"
    inside.rename(outside)
    # The system's watch went with the folder and still reports the old path.
    (outside / "late.wav").write_bytes(wav())
    (outside / "waiting.wav").write_bytes(wav())
    bench.barrier()
    assert bench.found() == set()
    assert bench.triggers[0].status()["candidates"] == 0


def test_what_was_begun_in_a_folder_that_is_moved_out_is_withdrawn(bench: Bench) -> None:
    inside = bench.folder / "session"
    inside.mkdir()
    bench.trigger(settle_s=60.0)
    path = inside / "take.wav"
    path.write_bytes(wav())
    until(lambda: bench.diary.of(path) == ["speculate"], "work may begin")
    inside.rename(bench.apart / "session")
    until(lambda: bench.diary.of(path) == ["speculate", "withdraw"], "it is withdrawn")


def test_a_new_folder_is_scanned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is in a new folder before its watch begins has no event of its own.
    monkeypatch.setattr(watch._Handler, "_take_file", lambda *_: None)
    bench.trigger()
    source = bench.apart / "session"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "take.wav").write_bytes(wav())
    (source / "deep" / "link").symlink_to(source, target_is_directory=True)
    source.rename(bench.folder / "session")
    path = bench.folder / "session" / "deep" / "take.wav"
    until(lambda: bench.diary.count(path), "the file is accepted")
    assert bench.found() == {path}


@pytest.mark.slow
def test_a_folder_moved_out_and_in_again_is_watched(bench: Bench) -> None:
    inside, outside = bench.folder / "session", bench.apart / "session"
    inside.mkdir()
    bench.trigger()
    inside.rename(outside)
    (outside / "made outside.wav").write_bytes(wav())
    outside.rename(inside)
    (inside / "made inside.wav").write_bytes(wav())
    bench.expect(inside / "made outside.wav", inside / "made inside.wav")


@pytest.mark.slow
def test_a_renamed_folder(bench: Bench) -> None:
    bench.trigger()
    old, new = bench.folder / "old", bench.folder / "new"
    old.mkdir()
    (old / "unfinished.wav").write_bytes(wav(0, promised_frames=100))
    until(lambda: len(bench.triggers[0]._settler) == 1, "the unfinished file is a candidate")
    old.rename(new)
    (new / "unfinished.wav").write_bytes(wav(100))
    (new / "later.wav").write_bytes(wav())
    bench.expect(new / "unfinished.wav", new / "later.wav")


@pytest.mark.slow
def test_two_names_for_one_file_are_two_bounces(bench: Bench) -> None:
    bench.trigger()
    first = bench.folder / "a.wav"
    first.write_bytes(wav())
    os.link(first, bench.folder / "b.wav")
    (bench.folder / "c.wav").symlink_to(first)
    bench.expect(first, bench.folder / "b.wav", bench.folder / "c.wav")


@pytest.mark.slow
def test_links_to_nowhere_to_themselves_and_to_folders(bench: Bench) -> None:
    bench.trigger()
    deep = bench.folder / "deep"
    deep.mkdir()
    (deep / "loop").symlink_to(bench.folder, target_is_directory=True)
    # Even if it is told of as a new folder, as watchdog does where a folder is filled at once.
    bench.triggers[0]._inbox.folder(str(deep / "loop"), lost=False)
    bench.triggers[0]._inbox.folder(str(deep / "loop" / "deep"), lost=False)
    (bench.folder / "nowhere.wav").symlink_to(bench.apart / "there is no such file.wav")
    (bench.folder / "self.wav").symlink_to(bench.folder / "self.wav")
    (bench.folder / "folder.wav").mkdir()
    path = deep / "take.wav"
    path.write_bytes(wav())
    bench.triggers[0]._inbox.folder(str(deep / "loop" / "deep"), lost=False)
    bench.triggers[0].rescan("the test asks for it")
    bench.expect(path, thorough=True)
    assert bench.triggers[0].status()["problem"] == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.slow
def test_a_named_pipe_is_no_file(bench: Bench) -> None:
    bench.trigger()
    os.mkfifo(bench.folder / "pipe.wav")
    # An empty file would be taken in the end: the pipe, that is older, would be by then.
    empty = bench.folder / "empty.wav"
    empty.touch()
    bench.expect(empty)


ODD_NAMES = [
    "Café ré.wav",
    "Cafe\u0301 decomposed.wav",
    "🎹🥁 лупа 拍子.wav",
    'it\'s "the" take; $(rm) `x`.wav',
    "two\nlines.wav",
    "SHOUTING.WAV",
    "mixed.Wav",
    " leading and trailing .wav",
    "no extension twice.wav.aiff",
    "n" * 246 + ".wav",
]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids some of these names")
def test_odd_names(bench: Bench) -> None:
    bench.trigger()
    paths = [bench.folder / name for name in ODD_NAMES]
    for path in paths:
        path.write_bytes(wav())
    bench.expect(*paths)


def test_a_growing_file_is_never_taken_before_its_end(bench: Bench) -> None:
    bench.trigger(timing=PATIENT)
    path = bench.folder / "real time.wav"
    data = wav(2000)
    with path.open("wb") as file:
        for start in range(0, len(data), 200):
            file.write(data[start : start + 200])
            file.flush()
            time.sleep(0.04)
        assert bench.diary.of(path) == []
        assert "hint" in [deed for _, deed, _ in bench.diary.lines]
    bench.expect(path)
    assert bench.diary.accepted[0].fingerprint.size == len(data)


@pytest.mark.slow
def test_a_file_that_grows_without_being_closed_is_never_taken_before_its_end(bench: Bench) -> None:
    bench.trigger(timing=PATIENT, polling=True)
    path = bench.folder / "over the network.mp3"
    with path.open("wb") as file:
        for _ in range(12):
            file.write(b"\xff\xfb\x90\x00" * 100)
            file.flush()
            time.sleep(0.1)
        assert bench.diary.of(path) == []
        until(lambda: bench.diary.count(path), "the file is accepted though it stays open")
    bench.expect(path)


@pytest.mark.slow
def test_an_open_file_that_stands_still_is_taken(bench: Bench) -> None:
    bench.trigger()
    path = bench.folder / "held open.wav"
    with path.open("wb") as file:
        file.write(wav())
        file.flush()
        until(lambda: bench.diary.count(path), "the file is accepted though it stays open")
        assert bench.diary.of(path) == ["accept"]


def test_a_change_within_the_quiet_delay_is_withdrawn(bench: Bench) -> None:
    bench.trigger(settle_s=0.3)
    path = bench.folder / "take.wav"
    path.write_bytes(wav(100))
    until(lambda: bench.diary.of(path) == ["speculate"], "work may begin")
    path.write_bytes(wav(200))
    bench.expect(path)
    assert bench.diary.of(path)[:2] == ["speculate", "withdraw"]
    assert bench.diary.of(path)[-2:] == ["speculate", "accept"]


@pytest.mark.slow
def test_a_file_removed_within_the_quiet_delay_is_withdrawn(bench: Bench) -> None:
    bench.trigger(settle_s=0.5)
    path = bench.folder / "take.wav"
    path.write_bytes(wav(100))
    until(lambda: bench.diary.of(path) == ["speculate"], "work may begin")
    path.unlink()
    until(lambda: bench.diary.of(path) == ["speculate", "withdraw"], "it is withdrawn")
    bench.expect()


def test_an_unfinished_header_is_taken_in_the_end_with_a_warning(bench: Bench) -> None:
    bench.trigger()
    path, empty = bench.folder / "crashed.wav", bench.folder / "empty.wav"
    path.write_bytes(wav(100, promised_frames=5000))
    empty.touch()
    bench.expect(path, empty)
    warnings = {request.source: request.warnings for request in bench.diary.accepted}
    assert "never finished" in warnings[path][0]
    assert "empty" in warnings[empty][0]
    assert bench.diary.of(path) == ["accept"]


@pytest.mark.slow
def test_our_own_reading_makes_no_bounce(bench: Bench) -> None:
    bench.trigger()
    path = bench.folder / "take.wav"
    path.write_bytes(wav())
    bench.expect(path)
    for _ in range(5):
        path.read_bytes()
    with path.open("r+b"):
        pass  # opened for writing and closed, as a player does that wants to write tags, and does not
    bench.expect(path)


def test_what_is_no_bounce_is_ignored(bench: Bench) -> None:
    bench.trigger()
    names = [
        "._take.wav", ".hidden.wav", "take.wav.asd", "take.wav.reapeaks", "take.wav.part",
        "take.wav.crdownload", "take.tmp", "notes.txt", "no suffix", "qrender_take.wav",
        "QueuedRenders/take.wav",
        "interchange/session/peaks/take.wav", ".cache/take.wav", ".take.mid.7.part", ".out.wav.12.part",
    ]  # fmt: skip
    for name in names:
        path = bench.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav())
    bench.triggers[0].rescan("the test asks for it")
    bench.expect(thorough=True)


@pytest.mark.slow
def test_folders_below_are_left_alone_where_the_settings_say_so(bench: Bench) -> None:
    (bench.folder / "there").mkdir()
    bench.trigger(recursive=False)
    (bench.folder / "new").mkdir()
    for name in ("there/a.wav", "new/b.wav", "c.wav"):
        (bench.folder / name).write_bytes(wav())
    bench.triggers[0].rescan("the test asks for it")
    bench.expect(bench.folder / "c.wav", thorough=True)


def test_our_own_outputs_make_no_loop(bench: Bench) -> None:
    output = bench.folder / "Out" / "take_stem.wav"
    bench.diary.outputs.add(output)
    bench.trigger()
    output.parent.mkdir()
    temporary = output.with_name(".take_stem.wav.1.part")
    temporary.write_bytes(wav())
    temporary.rename(output)
    bench.triggers[0].rescan("the test asks for it")
    bench.expect(thorough=True)
    assert bench.diary.of(output) == []


@pytest.mark.slow
def test_a_folder_that_is_named_through_a_link(bench: Bench) -> None:
    link = bench.apart / "link"
    link.symlink_to(bench.folder, target_is_directory=True)
    bench.trigger(path=link)
    (bench.folder / "take.wav").write_bytes(wav())
    path = link / "take.wav"
    until(lambda: bench.diary.count(path), "the file is accepted under the name of the settings")
    assert bench.diary.of(path) == ["speculate", "accept"]
