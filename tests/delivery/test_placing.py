from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import pytest

from bridge.delivery import placing
from bridge.delivery.placing import (
    Content,
    NameTakenError,
    choose_name,
    make_folder,
    missing_of,
    place,
    recover,
    rename_without_overwriting,
    safe_name,
    temp_path,
)
from bridge.errors import DeliveryError

POSIX = os.name == "posix"


def _deliver(folder: Path, name: str, data: bytes, number: int = 1) -> Path:
    """As the desk does it, without a journal."""
    content = Content.of_bytes(data)
    while True:
        choice = choose_name(folder, Path(name), content)
        if choice.exists:
            return choice.path
        try:
            place(choice.path, temp_path(choice.path, number), content, project_folder=folder)
        except NameTakenError:
            continue
        return choice.path


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Names


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Loop 1_midi.mid", "Loop 1_midi.mid"),
        ("Übung – señor 音楽 🎹.mid", "Übung – señor 音楽 🎹.mid"),
        (unicodedata.normalize("NFD", "Übung é.mid"), unicodedata.normalize("NFC", "Übung é.mid")),
        ('a<b>c:d"e/f\\g|h?i*j.mid', "a-b-c-d-e-f-g-h-i-j.mid"),
        ("a\x00b\nc\x1fd\x7f.mid", "a-b-c-d-.mid"),
        ("stem:vocals.wav", "stem-vocals.wav"),
        ("trailing. . ", "trailing"),
        ("..", "bounce"),
        (".", "bounce"),
        ("", "bounce"),
        ("CON", "CON_"),
        ("nul.mid", "nul_.mid"),
        ("Aux .tar.gz", "Aux_.tar.gz"),
        ("com1.mid", "com1_.mid"),
        ("LPT9", "LPT9_"),
        ("COM².wav", "COM²_.wav"),
        ("conin$.mid", "conin$_.mid"),
        ("console.mid", "console.mid"),
        ("com10.mid", "com10.mid"),
        ("my con.mid", "my con.mid"),
        ("take \udce9.mid", "take _.mid"),
        ("no suffix", "no suffix"),
    ],
)
def test_names_become_what_every_system_takes(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert safe_name(safe) == safe


@pytest.mark.parametrize("name", ["ä" * 300 + ".mid", "x" * 256, "a." + "é" * 300, "🎹" * 100 + "_midi.mid"])
def test_long_names_are_cut_and_keep_their_suffix(tmp_path: Path, name: str) -> None:
    safe = safe_name(name)
    assert len(safe.encode()) <= placing.MAX_NAME_BYTES
    assert safe.endswith(".mid") == name.endswith(".mid")
    first, second = (_deliver(tmp_path, name, data) for data in (b"1", b"2"))
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")


@pytest.mark.parametrize("name", ["../x.mid", "/etc/x.mid", "a/../../x.mid", "a/./b.mid", "..", "/"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "project"
    path = _deliver(folder, name, b"x")
    assert path.resolve().is_relative_to(folder.resolve())
    assert path.read_bytes() == b"x"


# Never over anything


def test_a_name_that_is_taken_gets_a_number_and_the_same_bytes_are_found_again(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"the musician's own")
    assert _deliver(tmp_path, "a.mid", b"one").name == "a (2).mid"
    assert _deliver(tmp_path, "a.mid", b"two").name == "a (3).mid"
    assert _deliver(tmp_path, "a.mid", b"one").name == "a (2).mid"
    assert (tmp_path / "a.mid").read_bytes() == b"the musician's own"
    assert _names(tmp_path) == {"a.mid", "a (2).mid", "a (3).mid"}


@pytest.mark.parametrize("what", ["folder", "link", "dangling link", "empty file"])
def test_whatever_has_the_name_keeps_it(tmp_path: Path, what: str) -> None:
    target, taken = tmp_path / "elsewhere", tmp_path / "p" / "a.mid"
    taken.parent.mkdir()
    if what == "folder":
        taken.mkdir()
    elif what == "empty file":
        taken.write_bytes(b"")
    else:
        if what == "link":
            target.write_bytes(b"other")
        try:
            taken.symlink_to(target)
        except OSError:
            pytest.skip("no right to make links")
    assert _deliver(tmp_path / "p", "a.mid", b"notes").name == "a (2).mid"
    assert not target.exists() or target.read_bytes() == b"other"


def test_place_refuses_a_name_that_came_into_being_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    final = tmp_path / "a.mid"
    final.write_bytes(b"mine")
    with pytest.raises(NameTakenError):
        place(final, temp_path(final, 1), Content.of_bytes(b"notes"))
    assert final.read_bytes() == b"mine"
    assert _names(tmp_path) == {"a.mid"}


def test_a_file_is_copied_whole(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "cached.wav").write_bytes(data)
    content = Content.of_file(tmp_path / "cached.wav", hashlib.sha256(data).hexdigest())
    final = tmp_path / "out" / "a.wav"
    place(final, temp_path(final, 1), content)
    assert final.read_bytes() == data
    assert _names(final.parent) == {"a.wav"}


def _race(folder: Path, writers: int, rounds: int) -> None:
    start = threading.Barrier(writers)

    def write(writer: int) -> None:
        start.wait()
        for round_ in range(rounds):
            _deliver(folder, "take.mid", f"{writer}-{round_}".encode(), number=writer)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _assert_all_survived(folder: Path, writers: int, rounds: int) -> None:
    expected = sorted(f"{writer}-{round_}".encode() for writer in range(writers) for round_ in range(rounds))
    assert sorted(path.read_bytes() for path in folder.iterdir()) == expected


def test_threads_that_want_the_same_name_lose_nothing(tmp_path: Path) -> None:
    _race(tmp_path, 4, 10)
    _assert_all_survived(tmp_path, 4, 10)


def test_without_hard_links_they_lose_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    _race(tmp_path, 4, 10)
    _assert_all_survived(tmp_path, 4, 10)


RACER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_placing import _deliver
sys.stdin.readline()
for number in range(15):
    _deliver(Path(sys.argv[1]), "take.mid", f"{sys.argv[2]}-{number}".encode(), number=int(sys.argv[2]))
"""


@pytest.mark.slow
def test_processes_that_want_the_same_name_lose_nothing(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    commands = [[sys.executable, "-c", RACER, str(tmp_path), str(one), here] for one in range(3)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for command in commands]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.close()
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    _assert_all_survived(tmp_path, 3, 15)


# Without hard links


def test_a_reservation_whose_rename_fails_is_taken_away(tmp_path: Path) -> None:
    final = tmp_path / "a.mid"
    with pytest.raises(OSError, match="No such file"):
        placing._rename_over_reservation(tmp_path / "not-there.part", final)
    assert _names(tmp_path) == set()


def test_a_reservation_refuses_a_name_that_is_taken(tmp_path: Path) -> None:
    final, temp = tmp_path / "a.mid", tmp_path / ".part"
    final.write_bytes(b"")
    temp.write_bytes(b"new")
    with pytest.raises(FileExistsError):
        placing._rename_over_reservation(temp, final)
    assert (final.read_bytes(), temp.read_bytes()) == (b"", b"new")


def test_other_troubles_of_a_link_are_told_and_not_worked_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", link)
    if POSIX:
        (tmp_path / "t").write_bytes(b"x")
        with pytest.raises(OSError, match="Input/output"):
            rename_without_overwriting(tmp_path / "t", tmp_path / "a.mid")
        assert _names(tmp_path) == {"t"}


# After a crash


def _facts(data: bytes) -> tuple[str, int]:
    return hashlib.sha256(data).hexdigest(), len(data)


@pytest.mark.parametrize(
    ("final", "temp", "done", "left"),
    [
        (None, None, False, {}),
        (None, b"no", False, {}),
        (None, b"notes", False, {}),
        (b"notes", None, True, {"a.mid": b"notes"}),
        (b"notes", b"notes", True, {"a.mid": b"notes"}),  # linked, not yet unlinked
        (b"", b"notes", False, {}),  # reserved, not yet renamed
        (b"foreign", b"notes", False, {"a.mid": b"foreign"}),
        (b"noteZ", None, False, {"a.mid": b"noteZ"}),
    ],
)
def test_recover_finds_out_what_the_crash_left(
    tmp_path: Path, final: bytes | None, temp: bytes | None, done: bool, left: dict[str, bytes]
) -> None:
    path = tmp_path / "a.mid"
    for one, data in ((path, final), (temp_path(path, 1), temp)):
        if data is not None:
            one.write_bytes(data)
    assert recover(path, temp_path(path, 1), *_facts(b"notes")) is done
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == left


def test_recover_keeps_a_result_that_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"")
    assert recover(path, temp_path(path, 1), *_facts(b""))
    assert path.exists()


def test_recover_where_the_drive_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "a.mid"
    assert not recover(path, temp_path(path, 1), *_facts(b"notes"))


CRASHER = """
import sys
from pathlib import Path
from bridge.delivery.placing import Content, place, temp_path
final = Path(sys.argv[1])
place(final, temp_path(final, 1), Content.of_bytes(b"notes"))
"""


@pytest.mark.parametrize(
    "point",
    ["delivery-temp-half", "delivery-before-fsync", "delivery-after-fsync", "delivery-before-rename"],
)
def test_a_crash_at_any_point_leaves_nothing_under_the_final_name(tmp_path: Path, point: str) -> None:
    final = tmp_path / "a.mid"
    environment = {**os.environ, "BRIDGE_CRASH_AT": point}
    ended = subprocess.run([sys.executable, "-c", CRASHER, str(final)], env=environment, check=False)
    assert ended.returncode == 137
    assert _names(tmp_path) == {temp_path(final, 1).name}
    assert not recover(final, temp_path(final, 1), *_facts(b"notes"))
    assert _names(tmp_path) == set()


# Folders and disks in trouble


def test_folders_are_made_but_not_a_tree_whose_root_is_gone(tmp_path: Path) -> None:
    make_folder(tmp_path / "1" / "2" / "3")
    assert (tmp_path / "1" / "2" / "3").is_dir()
    with pytest.raises(DeliveryError, match=r"the folder .* is not there\..*Plug the drive in"):
        make_folder(tmp_path / "drive" / "a" / "b" / "c")
    assert not (tmp_path / "drive").exists()


def test_a_windows_drive_that_is_gone_ends_the_way_up() -> None:
    folder = PureWindowsPath(r"Z:\Music\Out")
    missing = missing_of(folder, lambda _: False)
    assert missing == [folder, PureWindowsPath(r"Z:\Music"), PureWindowsPath("Z:\\")]
    assert missing_of(folder, lambda one: one == PureWindowsPath("Z:\\")) == missing[:2]


def test_a_folder_that_vanished_is_made_again(tmp_path: Path) -> None:
    _deliver(tmp_path / "project", "a.mid", b"one")
    (tmp_path / "project" / "a.mid").unlink()
    (tmp_path / "project").rmdir()
    assert _deliver(tmp_path / "project", "a.mid", b"one").read_bytes() == b"one"


def test_a_file_in_the_folders_place_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "project").write_bytes(b"I am a file")
    with pytest.raises(DeliveryError, match="a file where the folder should be") as caught:
        _deliver(tmp_path / "project", "a.mid", b"one")
    assert caught.value.remedy
    assert _names(tmp_path) == {"project"}


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if (
        not sys.platform.startswith("linux")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a file system takes root's rights on Linux")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_in_words_and_nothing_is_left_behind(tiny_disk: Path) -> None:
    data = os.urandom(200_000)
    with pytest.raises(DeliveryError, match="the disk is full") as caught:
        _deliver(tiny_disk, "a.mid", data)
    assert "tried again by itself" in caught.value.remedy
    assert caught.value.file == str(tiny_disk / "a.mid")
    assert _names(tiny_disk) == set()
    assert _deliver(tiny_disk, "a.mid", data[:20_000]).read_bytes() == data[:20_000]


def test_a_disk_that_can_only_be_read_is_told_in_words(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(DeliveryError, match="the disk can only be read"):
        _deliver(tiny_disk, "a.mid", b"one")
    subprocess.run(["mount", "-o", "remount,rw", str(tiny_disk)], check=True)
    assert _deliver(tiny_disk, "a.mid", b"one").read_bytes() == b"one"


@pytest.mark.skipif(not POSIX or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_told_in_words(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DeliveryError, match="you may not write to this folder"):
            _deliver(tmp_path, "a.mid", b"one")
    finally:
        tmp_path.chmod(0o700)
