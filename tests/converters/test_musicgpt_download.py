"""Files of the MusicGPT API over real sockets: cut off, gone on with, expired, not what they should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.converters.base import Ticket
from bridge.converters.musicgpt.download import LinkExpired, download, kind_of
from bridge.errors import BridgeError, TryLater
from bridge.testing import ManualClock
from support.musicgpt import MIDI, MP3, a_request, client, standing
from support.socket_server import Exchange, SocketServer, unused_port

LONG = MP3 * 500
TIMEOUTS = (2.0, 2.0)


def cut_after(size: int, *, tag: str = '"one"', content: bytes = LONG) -> Callable[[Exchange], None]:
    """Gives `size` bytes of what is asked for, and breaks off."""

    def handle(exchange: Exchange) -> None:
        told = exchange.headers.get("range", "bytes=0-")
        begin = int(told.removeprefix("bytes=").rstrip("-"))
        if exchange.headers.get("if-range", tag) != tag:
            begin = 0
        rest = content[begin:]
        status = (
            f"206 X\r\nContent-Range: bytes {begin}-{len(content) - 1}/{len(content)}" if begin else "200 X"
        )
        exchange.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(rest)}\r\nETag: {tag}\r\n\r\n", rest[:size])

    return handle


def test_a_file_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    with SocketServer(cut_after(65_536)) as server:
        got = download(f"{server.url}/x.bin?sig=1", tmp_path / "take_1", "audio", TIMEOUTS)
        ranges = [one.headers.get("range") for one in server.seen]
        assert ranges == [None, "bytes=65536-", "bytes=131072-", "bytes=196608-"][: len(ranges)]
        assert len(ranges) == -(-len(LONG) // 65_536)
        assert server.seen[1].headers["if-range"] == '"one"'
        assert not any("authorization" in one.headers for one in server.seen)
    assert got.path == tmp_path / "take_1.mp3"
    assert got.path.read_bytes() == LONG
    assert [path.name for path in tmp_path.iterdir()] == ["take_1.mp3"]


def test_a_file_that_changed_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    first, second = cut_after(65_536), cut_after(1 << 30, tag='"two"', content=MIDI + LONG)

    def handle(exchange: Exchange) -> None:
        (first if len(server.seen) == 1 else second)(exchange)

    with SocketServer(handle) as server:
        assert download(server.url + "/x", tmp_path / "x", None, TIMEOUTS).path.read_bytes() == MIDI + LONG


def test_a_server_without_ranges_begins_anew_each_time(tmp_path: Path) -> None:
    def handle(exchange: Exchange) -> None:
        size = 100 if len(server.seen) == 1 else len(LONG)
        exchange.send(f"HTTP/1.1 200 X\r\nContent-Length: {len(LONG)}\r\n\r\n", LONG[:size])

    with SocketServer(handle) as server:
        assert download(server.url + "/x", tmp_path / "x", "audio", TIMEOUTS).path.read_bytes() == LONG


def test_one_that_always_breaks_off_at_the_same_place_is_left_for_later(tmp_path: Path) -> None:
    def handle(exchange: Exchange) -> None:
        exchange.send(f"HTTP/1.1 200 X\r\nContent-Length: {len(LONG)}\r\n\r\n", LONG[:100])

    with SocketServer(handle) as server:
        with pytest.raises(TryLater):
            download(server.url + "/x", tmp_path / "x", "audio", TIMEOUTS)
        assert len(server.seen) < 6
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_expired_link(tmp_path: Path, status: int) -> None:
    with SocketServer(lambda exchange: exchange.reply(status)) as server, pytest.raises(LinkExpired):
        download(server.url + "/x", tmp_path / "x", "audio", TIMEOUTS)


def test_redirects_are_followed_without_a_key_and_not_in_circles(tmp_path: Path) -> None:
    with SocketServer(cut_after(1 << 30)) as cdn:
        with SocketServer(lambda exchange: exchange.reply(302, Location=f"{cdn.url}/y")) as server:
            assert download(server.url + "/x", tmp_path / "x", "audio", TIMEOUTS).path.exists()
        assert "authorization" not in cdn.seen[0].headers
    for location, words in (("/x", "circles"), ("file:///etc/passwd", "no safe web address")):
        with SocketServer(redirecting(location)) as server, pytest.raises(TryLater, match=words):
            download(server.url + "/x", tmp_path / "x", "audio", TIMEOUTS)


def redirecting(location: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.reply(302, Location=location)


@pytest.mark.parametrize(
    ("content", "family"),
    [
        (b"<!DOCTYPE html><h1>Welcome</h1>", "audio"),
        (b"<?xml version='1.0'?><Error/>", None),
        (b"", "audio"),
        (MIDI, "audio"),
        (MP3, "midi"),
        (b"\0\1\2\3", None),
    ],
)
def test_what_is_not_what_it_should_be_is_no_result(
    tmp_path: Path, content: bytes, family: str | None
) -> None:
    with SocketServer(lambda exchange: exchange.reply(200, content)) as server, pytest.raises(TryLater):
        download(server.url + "/x", tmp_path / "x", family, TIMEOUTS)
    assert not list(tmp_path.iterdir())


def test_no_network_is_no_reason_to_lose_it(tmp_path: Path) -> None:
    with pytest.raises(TryLater):
        download(f"http://127.0.0.1:{unused_port()}/x", tmp_path / "x", "audio", TIMEOUTS)
    with SocketServer(lambda exchange: exchange.hang()) as server, pytest.raises(TryLater):
        download(server.url + "/x", tmp_path / "x", "audio", (0.2, 0.2))
    with pytest.raises(TryLater):
        download("http://[broken/x", tmp_path / "x", "audio", TIMEOUTS)


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"ID3\4", "mp3"),
        (b"\xff\xfb\x90\0", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"MThd", "mid"),
        (b"\x1aE\xdf\xa3", "webm"),
        (b"\xff\xd8\xff\xe0", "jpg"),
        (b"start,end\n1,2\n", "csv"),
        ("ä,1".encode(), "csv"),
        (b" <HTML>", None),
        (b"\x00\x01", None),
        (b"", None),
    ],
)
def test_files_are_known_by_how_they_begin(head: bytes, suffix: str | None) -> None:
    kind = kind_of(head)
    assert (kind.suffix if kind else None) == suffix


# With the client: links that have expired


def test_expired_links_are_asked_for_anew_once_and_then_left_for_later(tmp_path: Path) -> None:
    clock = ManualClock()
    alive = {"/new.mp3"}

    def handle(exchange: Exchange) -> None:
        if exchange.path.endswith("byId"):
            name = "old" if len(server.asked("byId")) == 1 else "new"
            exchange.reply(200, standing(conversion_path=f"{server.url}/{name}.mp3"))
        elif exchange.path in alive:
            exchange.reply(200, MP3)
        else:
            exchange.reply(403)

    (tmp_path / "out").mkdir()
    with SocketServer(handle) as server:
        converter = client(server.url, tmp_path / "spool", clock=clock, plan="pro")
        request = a_request(tmp_path, "Cover", voice_id="v")
        ticket = Ticket("Cover/t")
        assert converter.poll(ticket).state == "done"
        with pytest.raises(TryLater, match="used up"):
            converter.fetch(ticket, tmp_path / "out", request)
        clock.advance(1)
        (artifact,) = converter.fetch(ticket, tmp_path / "out", request)
        assert artifact.path.read_bytes() == MP3
        alive.clear()
        clock.advance(100)
        with pytest.raises(TryLater) as caught:
            fetch_until_done(lambda: converter.fetch(ticket, tmp_path / "out", request), clock)
        assert caught.value.wait_s > 60
        converter.close()


def fetch_until_done(fetch: Callable[[], object], clock: ManualClock) -> None:
    """As the runner does: what is only a matter of a moment is waited for."""
    while True:
        try:
            fetch()
        except TryLater as error:
            if error.wait_s > 1:
                raise
            clock.advance(error.wait_s)
        else:
            return


def test_the_mp3_takes_the_place_of_a_wav_that_is_gone(tmp_path: Path) -> None:
    clock = ManualClock()

    def handle(exchange: Exchange) -> None:
        if exchange.path.endswith("byId"):
            links = {
                "conversion_path_wav_1": "/a.wav",
                "conversion_path_1": "/a.mp3",
                "conversion_path_2": "/a.mp3",
            }
            exchange.reply(200, standing(**links))
        elif exchange.path == "/a.mp3":
            exchange.reply(200, MP3)
        else:
            exchange.reply(404)

    (tmp_path / "out").mkdir()
    with SocketServer(handle) as server:
        converter = client(server.url, tmp_path / "spool", clock=clock, plan="pro")
        request = a_request(tmp_path, "MusicAI", prompt="x")
        results: list[object] = []
        fetch_until_done(
            lambda: results.extend(converter.fetch(Ticket("MusicAI/t"), tmp_path / "out", request)), clock
        )
        converter.close()
    assert len(results) == 2


def test_a_fetch_that_cannot_be_kept_says_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file in its place")
    with SocketServer(lambda exchange: exchange.reply(200, standing(conversion_path="/a.mp3"))) as server:
        converter = client(server.url, tmp_path / "spool")
        with pytest.raises(BridgeError, match="cannot be kept"):
            converter.fetch(Ticket("Cover/t"), tmp_path / "out", a_request(tmp_path, "Cover", voice_id="v"))
        converter.close()
