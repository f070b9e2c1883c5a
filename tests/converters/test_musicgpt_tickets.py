"""Tickets of the MusicGPT API on their way: asked for at their time, never given up, and their results."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.converters.base import Ticket
from bridge.errors import (
    ChargedFailure,
    TicketLost,
    TryLater,
)
from bridge.testing import ManualClock
from support.musicgpt import CSV, MIDI, MP3, PlainFitter, a_request, accepted, client, ended, standing
from support.socket_server import Exchange, SocketServer, routes


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


# Tickets


def test_a_ticket_goes_its_way_to_artifacts(tmp_path: Path, clock: ManualClock) -> None:
    states = [standing("IN_QUEUE"), standing("SOMETHING_NEW")]

    def by_id(exchange: Exchange) -> None:
        done = standing(
            midi_file_path=f"{server.url}/files/x.mid",
            sonify_file_path="",
            notes_file_path="/files/x.csv",
            conversion_cost="0.024",
        )
        exchange.reply(200, states.pop(0) if states else done)

    fitter = PlainFitter()
    ends: list[Ticket] = []
    answers = routes(
        audio_to_midi=accepted(eta=37, credit_estimate=0.02), byId=by_id, **{"x.mid": MIDI, "x.csv": CSV}
    )
    with SocketServer(answers) as server:
        converter = client(server.url, tmp_path / "spool", fitter=fitter, clock=clock)
        converter.watch(ends.append)
        request = a_request(tmp_path, save_note_events=False)
        ticket = converter.submit(request)
        first = converter.poll(ticket)
        assert (first.state, first.cost_usd) == ("running", 0.02)
        assert first.poll_after_s == pytest.approx(37), "it is asked for when it should be ready"
        assert not server.asked("byId")
        progress = ended(converter, ticket, clock)
        assert (progress.state, progress.fraction, progress.cost_usd) == ("done", 1.0, 0.024)
        folder = tmp_path / "out"
        folder.mkdir()
        artifacts = converter.fetch(ticket, folder, request)
        asked = server.asked("byId")
        converter.close()
    assert ends == [ticket]
    assert len(asked) == 3, "the answer that was just seen is used"
    assert asked[0].query == {"conversionType": "AUDIO_TO_MIDI", "task_id": "task789"}
    assert [one.role for one in artifacts] == ["midi"], "the notes only helped"
    assert set(fitter.fits[0]["files"]) == {"midi", "note_events"}
    assert fitter.fits[0]["source"] == request.source
    assert (folder / "original" / "midi.mid").read_bytes() == MIDI
    assert not any("authorization" in one.headers for one in server.seen if "/files/" in one.path)


def test_failures_say_why_and_that_again_may_cost_again(tmp_path: Path, clock: ManualClock) -> None:
    with SocketServer(routes(byId=standing("FAILED", message="The audio is too quiet."))) as server:
        progress = client(server.url, tmp_path / "spool", clock=clock).poll(Ticket("denoise/t"))
    assert progress.state == "failed"
    assert isinstance(progress.error, ChargedFailure)
    assert "too quiet" in str(progress.error)
    assert "again" in progress.error.remedy


def test_done_without_files_is_looked_at_a_little_longer(tmp_path: Path, clock: ManualClock) -> None:
    empty = [standing(no_noise="https://bucket.s3.amazonaws.com", noise="")] * 2
    full = standing(no_noise="https://cdn.example.com/a.mp3", noise="")

    def by_id(exchange: Exchange) -> None:
        exchange.reply(200, empty.pop() if empty else full)

    with SocketServer(routes(byId=by_id)) as server:
        assert (
            ended(client(server.url, tmp_path / "s", clock=clock), Ticket("denoise/t"), clock).state == "done"
        )
        assert len(server.seen) == 3
    with SocketServer(routes(byId=standing())) as server:
        progress = ended(client(server.url, tmp_path / "s", clock=clock), Ticket("denoise/t"), clock)
        assert isinstance(progress.error, ChargedFailure)
        assert 3 < len(server.seen) < 12


def test_a_task_that_stays_unknown_is_lost_but_not_at_once(tmp_path: Path, clock: ManualClock) -> None:
    def nobody(exchange: Exchange) -> None:
        exchange.reply(404, {"success": False, "error_code": "RESOURCE_NOT_FOUND", "message": ""})

    with SocketServer(routes(byId=nobody, audio_to_midi=accepted())) as server:
        converter = client(server.url, tmp_path / "spool", clock=clock)
        with pytest.raises(TicketLost):
            ended(converter, Ticket("denoise/t"), clock)
        assert len(server.seen) == 4
        ticket = converter.submit(a_request(tmp_path))
        begin = clock.monotonic()
        with pytest.raises(TicketLost):
            ended(converter, ticket, clock)
        assert clock.monotonic() - begin >= 120, "the API may be late to know what it has taken"
        converter.close()


@pytest.mark.parametrize("status", [400, 401, 402, 403, 409, 422, 429, 500, 502, 503, 302])
def test_no_trouble_while_asking_gives_up_what_was_paid(
    tmp_path: Path, clock: ManualClock, status: int
) -> None:
    with SocketServer(lambda exchange: exchange.reply(status, {"success": False, "message": "no"})) as server:
        converter = client(server.url, tmp_path / "spool", clock=clock, plan="pro")
        waits = []
        for _ in range(8):
            with pytest.raises(TryLater) as caught:
                ended(converter, Ticket("denoise/t"), clock)
            waits.append(caught.value.wait_s)
            assert converter.poll(Ticket("denoise/t")).state == "running", "not asked again before that"
        assert waits[0] < 2 < waits[4]
        assert max(waits) <= 60
        assert len(server.seen) == 8
        converter.close()


def test_a_captive_portal_is_no_news_of_a_ticket(tmp_path: Path, clock: ManualClock) -> None:
    def portal(exchange: Exchange) -> None:
        exchange.reply(200, b"<html>Welcome to our hotel</html>", Content_Type="text/html; charset=utf-8")

    with SocketServer(portal) as server:
        converter = client(server.url, tmp_path / "spool", clock=clock)
        with pytest.raises(TryLater, match="web page"):
            converter.poll(Ticket("denoise/t"))
        converter.close()


def test_a_pause_that_the_api_asks_for_holds_for_all_tickets(tmp_path: Path, clock: ManualClock) -> None:
    def slower(exchange: Exchange) -> None:
        exchange.reply(429, {"success": False}, Retry_After="30")

    with SocketServer(slower) as server:
        converter = client(server.url, tmp_path / "spool", clock=clock)
        with pytest.raises(TryLater) as caught:
            converter.poll(Ticket("denoise/one"))
        assert caught.value.wait_s == 30
        other = converter.poll(Ticket("denoise/other"))
        assert (other.state, other.poll_after_s) == ("running", 30)
        assert len(server.seen) == 1
        converter.close()


def test_waking_a_ticket_asks_at_once_and_tells(tmp_path: Path, clock: ManualClock) -> None:
    told: list[Ticket] = []
    done = standing(midi_file_path="https://cdn.example.com/a.mid")
    with SocketServer(routes(audio_to_midi=accepted(eta=300), byId=done)) as server:
        converter = client(server.url, tmp_path / "spool", clock=clock)
        converter.watch(told.append)
        ticket = converter.submit(a_request(tmp_path))
        assert converter.poll(ticket).state == "running"
        converter.wake(ticket)
        converter.wake(Ticket("nonsense"))
        assert told == [ticket]
        assert converter.poll(ticket).state == "done"
        converter.close()


@pytest.mark.parametrize(
    "plan", ["free", *(pytest.param(plan, marks=pytest.mark.slow) for plan in ("plus", "pro"))]
)
def test_two_hundred_tickets_never_ask_more_often_than_the_plan_allows(
    tmp_path: Path, clock: ManualClock, plan: str
) -> None:
    a_minute = {"free": 20, "plus": 200, "pro": 500}[plan]
    calls: list[float] = []

    def by_id(exchange: Exchange) -> None:
        calls.append(clock.monotonic())
        exchange.reply(200, standing("IN_PROGRESS"))

    with SocketServer(by_id) as server:
        converter = client(server.url, tmp_path / "spool", clock=clock, plan=plan)
        due = {Ticket(f"denoise/t{number}"): clock.monotonic() for number in range(200)}
        until, lid_closed_s = clock.monotonic() + 330, 90.0
        while clock.monotonic() < until:
            for ticket in [one for one, at in due.items() if at <= clock.monotonic()]:
                due[ticket] = clock.monotonic() + converter.poll(ticket).poll_after_s
            ahead = max(min(due.values()) - clock.monotonic(), 0.05)
            if len(calls) == 30:
                ahead, lid_closed_s = max(ahead, lid_closed_s), 0.0
            clock.advance(ahead)
        converter.close()
    busiest = max(sum(1 for other in calls if at <= other < at + 60) for at in calls)
    assert busiest <= a_minute
    assert busiest >= 0.9 * min(a_minute, 200), "and the plan is used"
    asked = {one.query["task_id"] for one in server.seen}
    assert len(asked) >= min(200, 3.5 * a_minute), "every ticket has its turn"


# Results


def fetched(
    tmp_path: Path, name: str, clock: ManualClock, answer: Callable[[str], dict[str, Any]], **parameters: Any
) -> dict[str, Any]:
    files = {"a.mp3": MP3, "b.mp3": MP3, "c.png": b"\x89PNG\r\n\x1a\n"}

    def by_id(exchange: Exchange) -> None:
        exchange.reply(200, standing(**answer(server.url)))

    folder = tmp_path / "out"
    folder.mkdir()
    server = SocketServer(routes(byId=by_id, **files))
    with server:
        converter = client(server.url, tmp_path / "spool", clock=clock)
        request = a_request(tmp_path, name, **parameters)
        artifacts = converter.fetch(Ticket(f"{name}/t"), folder, request)
        converter.close()
    assert all(one.path.parent == folder and one.path.is_file() for one in artifacts)
    return {one.role: one for one in artifacts}


def test_stems_that_were_asked_for_and_those_nobody_has_heard_of(tmp_path: Path, clock: ManualClock) -> None:
    def answer(url: str) -> dict[str, Any]:
        links = {"vocals": f"{url}/a.mp3", "bass": f"{url}/b.mp3", "Theremin/../x": "b.mp3", "drums": ""}
        return {"audio_url": json.dumps(links), "audio_url_wav": "{}"}

    artifacts = fetched(tmp_path, "Extraction", clock, answer, stems=["vocals", "drums"])
    assert set(artifacts) == {"vocals", "theremin_x"}


def test_where_nothing_of_it_came_what_did_come_is_taken(tmp_path: Path, clock: ManualClock) -> None:
    artifacts = fetched(
        tmp_path, "Extraction", clock, lambda url: {"audio_url": {"bass": f"{url}/b.mp3"}}, stems=["vocals"]
    )
    assert set(artifacts) == {"bass"}


def test_two_takes_with_their_words(tmp_path: Path, clock: ManualClock) -> None:
    def answer(url: str) -> dict[str, Any]:
        return {
            "conversion_path_1": f"{url}/a.mp3",
            "conversion_path_wav_1": "",
            "conversion_path_2": {"url": f"{url}/b.mp3"},
            "lyrics_1": "Łódź",
            "lyrics_2": "",
            "lyrics_timestamped_1": '[{"start": 0, "end": 9, "text": "Łódź"}]',
            "album_cover_path": f"{url}/c.png",
        }

    artifacts = fetched(tmp_path, "MusicAI", clock, answer, prompt="x", lyrics_timestamps=True)
    assert set(artifacts) == {"take_1", "take_2", "lyrics_1", "lyrics_times_1"}
    assert artifacts["lyrics_1"].path.read_text(encoding="utf-8") == "Łódź\n"
    assert json.loads(artifacts["lyrics_times_1"].path.read_text(encoding="utf-8"))[0]["end"] == 9


def test_key_and_tempo_become_a_file_and_a_note(tmp_path: Path, clock: ManualClock) -> None:
    answer = {"bpm": 120, "dominant_key": "A# major", "key_changes": '{"0-120": ["A# major"]}'}
    found = fetched(tmp_path, "extract_key_bpm", clock, lambda _: answer)["key_bpm"]
    assert found.about["note"] == "120 BPM, A# major"
    assert json.loads(found.path.read_text()) == {
        "bpm": 120,
        "key": "A# major",
        "key_changes": {"0-120": ["A# major"]},
    }


def test_a_transcript_is_the_kind_of_file_that_was_asked_for(tmp_path: Path, clock: ManualClock) -> None:
    answer = {"transcription": "1\n00:00:00,000 --> 00:00:01,000\nla", "detected_language": "fr"}
    found = fetched(tmp_path, "audio_transcribe", clock, lambda _: answer, transcription_format="srt")
    assert set(found) == {"transcript"}
    assert found["transcript"].path.name == "transcript.srt"
    assert found["transcript"].about == {"language": "fr"}


def test_words_that_come_at_once_survive_a_crash(tmp_path: Path) -> None:
    answer = {"success": True, "task_id": "w1", "lyrics": "Oh\nno", "credit_estimate": 0.01}
    folder = tmp_path / "out"
    folder.mkdir()
    with SocketServer(routes(prompt_to_lyrics=answer)) as server:
        request = a_request(tmp_path, "prompt_to_lyrics", prompt="x")
        ticket = client(server.url, tmp_path / "spool").submit(request)
    another_life = client("http://127.0.0.1:1", tmp_path / "spool")
    progress = another_life.poll(ticket)
    assert (progress.state, progress.cost_usd) == ("done", 0.01)
    (words,) = another_life.fetch(ticket, folder, request)
    assert words.path.read_text() == "Oh\nno\n"
    with pytest.raises(TicketLost):
        another_life.poll(Ticket("prompt_to_lyrics/other"))


def test_words_are_kept_in_memory_where_the_disk_is_full(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file in its place")
    with SocketServer(routes(prompt_to_lyrics={"success": True, "lyrics": "la"})) as server:
        converter = client(server.url, tmp_path / "spool")
        ticket = converter.submit(a_request(tmp_path, "prompt_to_lyrics", prompt="x"))
        assert converter.poll(ticket).state == "done"


def test_polling_from_many_threads_asks_once(tmp_path: Path, clock: ManualClock) -> None:
    with SocketServer(routes(byId=standing("IN_QUEUE"))) as server:
        converter = client(server.url, tmp_path, clock=clock)
        threads = [threading.Thread(target=converter.poll, args=(Ticket("denoise/t"),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        converter.close()
    assert len(server.seen) == 1


def test_a_request_of_a_type_that_nobody_documented_is_asked_for_by_each_guess(
    tmp_path: Path, clock: ManualClock
) -> None:
    def by_id(exchange: Exchange) -> None:
        if exchange.query["conversionType"] == "MUSIC_AI":
            exchange.reply(200, standing(conversion_path_1="https://cdn.example.com/a.mp3"))
        else:
            exchange.reply(422, {"success": False, "message": "no such type"})

    with SocketServer(by_id) as server:
        converter = client(server.url, tmp_path, clock=clock)
        assert ended(converter, Ticket("image_to_song/t"), clock).state == "done"
        converter.close()
    assert len(server.seen) == 2
