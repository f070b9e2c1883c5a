"""The MusicGPT client over real sockets: what it sends, and what it tells of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.conversions.catalogue import CATALOGUE
from bridge.converters.base import Ticket
from bridge.errors import (
    AudioError,
    Cancelled,
    NoKey,
    NotSent,
    Rejected,
    TicketLost,
    TryLater,
    WrongUse,
)
from bridge.jobs.model import Fingerprint
from bridge.testing import ManualClock
from support.musicgpt import KEY, MP3, PlainFitter, a_request, accepted, client, standing
from support.socket_server import Exchange, SocketServer, routes


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


# What is sent


def test_a_file_is_sent_as_the_documentation_shows_it(tmp_path: Path) -> None:
    with SocketServer(routes(audio_to_midi=accepted())) as server:
        request = a_request(tmp_path)
        ticket = client(server.url, tmp_path / "spool").submit(request)
    assert ticket == "audio_to_midi/task789"
    (asked,) = server.seen
    assert (asked.method, asked.path) == ("POST", "/api/public/v1/audio_to_midi")
    assert asked.headers["authorization"] == KEY
    assert asked.headers["user-agent"].startswith("DAW-Bridge/")
    form = asked.form()
    assert form["audio_file"].data == request.source.read_bytes()
    assert form["audio_file"].file_name == "Kurze Loop _A.wav"
    texts = {name: part.text for name, part in form.items() if part.file_name is None}
    assert texts == {"sonify_midi": "true", "save_note_events": "true"}


def test_an_address_goes_in_place_of_the_file(tmp_path: Path) -> None:
    with SocketServer(routes(audio_to_midi=accepted())) as server:
        request = a_request(tmp_path, audio_url="https://example.com/a.wav", sonify_midi=False)
        converter = client(server.url, tmp_path / "spool", webhook_url="https://me.example.com/hook/")
        converter.submit(replace(request, source=tmp_path / "gone.wav"))
    texts = {name: part.text for name, part in server.seen[0].form().items()}
    assert texts == {
        "audio_url": "https://example.com/a.wav",
        "sonify_midi": "false",
        "save_note_events": "true",
        "webhook_url": "https://me.example.com/hook/n0nce",
    }


def test_json_forms_and_queries_are_what_a_parser_reads(tmp_path: Path) -> None:
    lyrics = {"success": True, "lyrics": "La la", "credit_estimate": 0.01}
    answers = routes(MusicAI=accepted(), sound_generator=accepted(), prompt_to_lyrics=lyrics)
    with SocketServer(answers) as server:
        converter = client(server.url, tmp_path / "spool")
        converter.submit(a_request(tmp_path, "MusicAI", prompt="größer & louder", make_instrumental=True))
        converter.submit(a_request(tmp_path, "sound_generator", prompt="rain = 1 & more", audio_length=5))
        converter.submit(a_request(tmp_path, "prompt_to_lyrics", prompt="süß"))
    music, sound, words = server.seen
    assert music.headers["content-type"] == "application/json"
    sent = json.loads(music.body)
    assert (sent["prompt"], sent["make_instrumental"], sent["model"]) == ("größer & louder", True, "v6")
    assert "lyrics" not in sent, "what was not given is not sent"
    assert sound.headers["content-type"] == "application/x-www-form-urlencoded"
    texts = {name: part.text for name, part in sound.form().items()}
    assert texts == {"prompt": "rain = 1 & more", "audio_length": "5", "generate_album_cover": "false"}
    assert (words.method, words.query) == ("GET", {"prompt": "süß"})


def test_lists_go_as_json_text_and_further_files_as_files(tmp_path: Path) -> None:
    with SocketServer(routes(Extraction=accepted(), audio_mastering=accepted())) as server:
        converter = client(server.url, tmp_path / "spool")
        converter.submit(a_request(tmp_path, "Extraction", stems=["vocals", "drums"]))
        (tmp_path / "like this.mp3").write_bytes(MP3)
        reference = str(tmp_path / "like this.mp3")
        converter.submit(a_request(tmp_path, "audio_mastering", reference_audio_file=reference))
    stems, master = (one.form() for one in server.seen)
    assert json.loads(stems["stems"].text) == ["vocals", "drums"]
    assert stems["eco_mode"].text == "false"
    assert master["reference_audio_file"].data == MP3
    assert master["reference_audio_file"].file_name == "like this.mp3"
    assert master["output_extension"].text == "wav"
    assert "trim_silence" not in master


def test_neither_netrc_nor_cookies_stand_in_for_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    def with_cookie(exchange: Exchange) -> None:
        exchange.reply(200, accepted(), Set_Cookie="track=1; Path=/")

    with SocketServer(routes(audio_to_midi=with_cookie, byId=standing("IN_QUEUE"))) as server:
        converter = client(server.url, tmp_path / "spool")
        for _ in range(2):
            converter.submit(a_request(tmp_path))
    assert [one.headers["authorization"] for one in server.seen] == [KEY, KEY]
    assert not any("cookie" in one.headers for one in server.seen)


def test_silence_is_trimmed_first_where_that_is_asked_for(tmp_path: Path) -> None:
    fitter = PlainFitter(trimmed=b"RIFF short")
    with SocketServer(routes(denoise=accepted())) as server:
        converter = client(server.url, tmp_path / "spool", fitter=fitter)
        converter.submit(a_request(tmp_path, "denoise", trim_silence=True))
    assert server.seen[0].form()["audio_file"].data == b"RIFF short"
    assert not fitter.trims[0].exists(), "the copy goes when it is sent"


def test_a_file_beyond_the_limit_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    with SocketServer(routes()) as server:
        converter = client(server.url, tmp_path / "spool")
        with pytest.raises(Rejected, match=r"9:01.*8:00") as caught:
            converter.submit(replace(a_request(tmp_path), duration_s=540.5))
        assert caught.value.remedy
    assert not server.seen
    with SocketServer(routes(audio_to_midi=accepted())) as server:
        given = a_request(tmp_path, audio_url="https://example.com/long.wav")
        converter = client(server.url, tmp_path / "spool")
        assert converter.submit(replace(given, duration_s=540.5)), "how long that is, nobody here knows"


def test_progress_is_told_and_can_break_the_upload_off(tmp_path: Path) -> None:
    told: list[float] = []

    def listen(fraction: float, doing: str) -> None:
        told.append(fraction)
        if fraction > 0.3:
            raise Cancelled("cancelled.")

    big = tmp_path / "big.wav"
    big.write_bytes(bytes(20_000_000))
    with SocketServer(routes(audio_to_midi=accepted())) as server:
        request = replace(
            a_request(tmp_path), source=big, fingerprint=Fingerprint.of(big), on_progress=listen
        )
        with pytest.raises(Cancelled):
            client(server.url, tmp_path / "spool").submit(request)
    assert told[0] == 0.0
    assert told == sorted(told)
    assert len(told) > 3
    assert server.seen[0].taken < 20_000_000


def test_a_bounce_that_is_written_to_while_it_is_sent_is_not_paid_for(tmp_path: Path) -> None:
    request = a_request(tmp_path)
    with SocketServer(routes(audio_to_midi=accepted())) as server:
        converter = client(server.url, tmp_path / "spool")

        def write(fraction: float, doing: str) -> None:
            with big.open("ab") as file:
                file.write(b"more")

        big = tmp_path / "big.wav"
        big.write_bytes(bytes(3_000_000))
        request = replace(request, source=big, fingerprint=Fingerprint.of(big))
        with pytest.raises(AudioError, match="written to again"):
            converter.submit(replace(request, on_progress=write))
        with pytest.raises(AudioError, match="cannot be read"):
            converter.submit(replace(request, source=tmp_path / "gone.wav"))
    assert all(one.taken < 3_000_000 for one in server.seen)


def test_a_path_as_a_handle_is_uploaded_first_and_the_key_stays_home(tmp_path: Path) -> None:
    (tmp_path / "hum.mp3").write_bytes(MP3 * 10)
    with SocketServer(storing) as storage:
        place = {
            "success": True,
            "upload_id": "u 1",
            "upload_url": f"{storage.url}/bucket",
            "fields": {"key": "k", "policy": "p"},
        }
        answers = routes(upload_audio=place, complete={"success": True}, MusicAI=accepted())
        with SocketServer(answers) as server:
            converter = client(server.url, tmp_path / "spool")
            converter.submit(a_request(tmp_path, "MusicAI", prompt="x", upload_id=str(tmp_path / "hum.mp3")))
    paths = [one.path.removeprefix("/api/public") for one in server.seen]
    assert paths == ["/v2/upload_audio", "/v2/upload_audio/u%201/complete", "/v2/MusicAI"]
    asked = json.loads(server.seen[0].body)
    assert asked == {"filename": "hum.mp3", "content_type": "audio/mpeg", "size_bytes": len(MP3) * 10}
    assert json.loads(server.seen[2].body)["upload_id"] == "u 1"
    (stored,) = storage.seen
    assert "authorization" not in stored.headers
    form = stored.form()
    assert list(form) == ["key", "policy", "file"], "the file is the last field, as storages want it"
    assert form["file"].data == MP3 * 10


def storing(exchange: Exchange) -> None:
    exchange.read()
    exchange.reply(204)


def test_an_upload_beyond_its_limit_and_one_that_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "small.mp3").write_bytes(MP3[:20])
    (tmp_path / "hum.mp3").write_bytes(MP3 * 10)
    place = {"success": True, "upload_id": "u", "upload_url": "ftp://x", "fields": {}}
    with SocketServer(routes(upload_audio=place)) as server:
        converter = client(server.url, tmp_path / "spool")
        with pytest.raises(Rejected, match="1 KB to 80 MB"):
            converter.submit(
                a_request(tmp_path, "MusicAI", prompt="x", upload_id=str(tmp_path / "small.mp3"))
            )
        with pytest.raises(NotSent):
            converter.submit(a_request(tmp_path, "MusicAI", prompt="x", upload_id=str(tmp_path / "hum.mp3")))


# Without a key


@pytest.mark.parametrize("key", [None, "", "two words", "line\nbreak", "schlüssel"])
def test_without_a_key_that_can_be_one_nothing_is_sent(tmp_path: Path, key: str | None) -> None:
    with SocketServer(routes()) as server:
        converter = client(server.url, tmp_path / "spool", key=lambda: key)
        capability = converter.capabilities()["audio_to_midi"]
        assert not capability.available
        assert "bridge login" in capability.why_not
        with pytest.raises(NoKey):
            converter.submit(a_request(tmp_path))
        with pytest.raises(TryLater):
            converter.poll(Ticket("audio_to_midi/paid-for"))
    assert not server.seen


def test_the_key_is_in_no_text_of_the_converter(tmp_path: Path) -> None:
    def echo(exchange: Exchange) -> None:
        exchange.reply(422, {"success": False, "message": f"bad key {exchange.headers['authorization']}!"})

    with SocketServer(routes(audio_to_midi=echo)) as server:
        converter = client(server.url, tmp_path / "spool")
        with pytest.raises(Rejected) as caught:
            converter.submit(a_request(tmp_path))
        texts = [repr(converter), str(caught.value), repr(caught.value), str(caught.value.to_json())]
        assert not any(KEY in text for text in texts)
        assert "bad key msk…cret!" in str(caught.value)


# What it tells of itself


def test_lanes_follow_the_plan_and_hold_every_conversion_once(tmp_path: Path) -> None:
    lanes = client("http://127.0.0.1:1", tmp_path, plan="plus").lanes()
    assert {lane.places for lane in lanes} == {3}
    names = [name for lane in lanes for name in lane.conversions or ()]
    assert sorted(names) == sorted(row.name for row in CATALOGUE.values() if "musicgpt" in row.quality)


def test_a_quote_and_a_fingerprint(tmp_path: Path) -> None:
    converter = client("http://127.0.0.1:1", tmp_path, plan="pro")
    request = a_request(tmp_path)
    assert converter.quote("audio_to_midi", request.parameters, 61.0).usd == pytest.approx(0.005 + 2 * 0.0037)
    assert converter.fingerprint("audio_to_midi") == {"api": "v1", "base": "127.0.0.1:1"}


def test_a_task_from_elsewhere_is_taken_up(tmp_path: Path) -> None:
    converter = client("http://127.0.0.1:1", tmp_path)
    assert converter.adopt("denoise", " 3f0c-1 ") == "denoise/3f0c-1"
    assert converter.adopt("denoise", "denoise/3f0c-1") == "denoise/3f0c-1"
    for nonsense in ("", "two words", "Cover/3f0c", "x" * 300, "a?b=c"):
        with pytest.raises(WrongUse):
            converter.adopt("denoise", nonsense)


@pytest.mark.parametrize("ticket", ["of an earlier life", "nobody/1", "denoise/", "/", ""])
def test_what_is_no_ticket_is_lost(tmp_path: Path, ticket: str) -> None:
    converter = client("http://127.0.0.1:1", tmp_path)
    with pytest.raises(TicketLost):
        converter.poll(Ticket(ticket))
    converter.cancel(Ticket(ticket))


def test_voices_are_found_by_name_or_all_listed(tmp_path: Path) -> None:
    page = {"success": True, "voices": [{"voice_id": "v1", "voice_name": "Ann"}, {}, 3], "total": 3108}
    with SocketServer(routes(searchVoices=page, getAllVoices=page)) as server:
        converter = client(server.url, tmp_path)
        found = converter.voices("an n", page=2)
        converter.voices(limit=5)
        converter.close()
    assert (found.voices[0].id, found.voices[0].name, found.total) == ("v1", "Ann", 3108)
    assert server.seen[0].query == {"query": "an n", "limit": "20", "page": "2"}
    assert server.seen[1].query == {"limit": "5", "page": "0"}


def test_voices_that_cannot_be_had_say_why(tmp_path: Path) -> None:
    with SocketServer(lambda exchange: exchange.reply(401, {"success": False, "error": "nope"})) as server:
        converter = client(server.url, tmp_path)
        with pytest.raises(NoKey, match="nope"):
            converter.voices()
        converter.close()
