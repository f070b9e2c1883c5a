"""What the compatible server refuses, and how it says so; plans, reserved uploads, and links."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import soundfile

from bridge.clock import Clock
from bridge.conversions.plans import ALLOWANCES
from bridge.errors import ModelError
from bridge.server.compatible.links import Links
from bridge.server.compatible.plans import Accounts
from bridge.server.compatible.refusals import Refusal
from bridge.server.compatible.storage import FORM_LIFE_S, HANDLE_LIFE_S, Storage
from bridge.testing import ManualClock
from support.rehearsal import Rehearsal, rehearsing
from support.tones import write_tone


@pytest.fixture
def server(models_folder: Path) -> Iterator[Rehearsal]:
    with rehearsing(models_folder) as running:
        yield running


@pytest.fixture
def bounce(tmp_path: Path) -> Path:
    path = tmp_path / "bounce.wav"
    write_tone(path, seconds=1.0)
    return path


def test_a_model_that_is_missing_leaves_nothing_open() -> None:
    """A client takes 503 for "perhaps it was accepted", and it was not."""
    refusal = Refusal.of(ModelError("the model is not here yet", remedy="Run: bridge models pull"))
    assert (refusal.status, refusal.message) == (403, "the model is not here yet. Run: bridge models pull")


# Fields

PROMPT = "Prompt must be between 1 and 1000 characters."
WRONG: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    ("audio_to_midi", {}, 422, "Either audio_url or audio_file must be provided."),
    ("image_to_song", {}, 422, "image_file or image_url is required."),
    ("extend", {}, 422, "audio_file or audio_url and extend_after are required."),
    ("TextToSpeech", {"voice_id": "x"}, 422, "Missing required field: text"),
    ("TextToSpeech", {"text": "x"}, 422, "One of sample_audio_url, voice_id must be provided."),
    ("sound_generator", {}, 422, "Prompt is required for sound generation."),
    ("sound_generator", {"prompt": "x", "audio_length": 4}, 422, "must be in range 5..120"),
    ("sound_generator", {"prompt": "x" * 301}, 422, "at most 300 characters"),
    ("MusicAI", {"prompt": "x", "model": "v5"}, 422, "must be one of v6"),
    ("audio_speed_changer", {"speed_change_factor": 5}, 400, "Invalid speed_change_factor"),
    ("audio_cutter", {"start_time": 9, "end_time": 3}, 400, "Invalid time range specified"),
    ("file_convert", {"target_format": "mod"}, 400, "Invalid output format specified"),
    ("Extraction", {"stems": '["kazoo"]'}, 422, "must be one of vocals"),
    ("denoise", {"webhook_url": "nowhere"}, 422, "webhook_url"),
    ("denoise", {"audio_url": "http://10.0.0.1/a.wav"}, 400, "could not be downloaded"),
    ("denoise", {"audio_url": "file:///etc/passwd"}, 400, "could not be downloaded"),
    ("denoise", {"audio_url": "http://127.0.0.1:1/a.wav"}, 400, "could not be downloaded"),
)
NEED_NO_AUDIO = {"TextToSpeech", "sound_generator", "MusicAI", "image_to_song"}


@pytest.mark.parametrize(("name", "fields", "status", "words"), WRONG)
def test_a_request_that_cannot_be_is_refused_in_the_apis_words(
    server: Rehearsal, name: str, fields: dict[str, Any], status: int, words: str
) -> None:
    version = "v2" if name in ("MusicAI", "Extraction") else "v1"
    if name not in NEED_NO_AUDIO and fields and "audio_url" not in fields:
        fields = {**fields, "audio_url": "http://127.0.0.1:1/never-fetched.wav"}
    answer = server.post(f"/{version}/{name}", data=fields)
    assert (answer.status_code, answer.json()["success"]) == (status, False)
    assert words in answer.json()["message"]
    entry = server.ledger()["submissions"][-1]
    assert (entry["task_id"], entry["status"]) == (None, status)


def test_lyrics_need_a_prompt(server: Rehearsal) -> None:
    for prompt in ("", "x" * 1001):
        answer = server.get("/v1/prompt_to_lyrics", params={"prompt": prompt})
        assert (answer.status_code, answer.json()["message"]) == (400, PROMPT)


@pytest.mark.slow
def test_what_is_no_audio_and_what_is_too_long_is_refused(server: Rehearsal, tmp_path: Path) -> None:
    noise = server.post("/v1/denoise", files={"audio_file": ("a.wav", b"not audio" * 200)})
    assert noise.status_code == 422
    long = tmp_path / "long.flac"
    soundfile.write(long, [[0.0]] * 8000 * 481, 8000)
    answer = server.post("/v1/denoise", files={"audio_file": long.read_bytes()})
    assert answer.status_code == 422
    assert "longer than 8 minutes" in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"x", "text/plain"),
        (b"no boundary", "multipart/form-data"),
        (b"a=1&" * 200, "application/x-www-form-urlencoded"),
    ],
)
def test_bodies_that_are_none(server: Rehearsal, body: bytes, kind: str) -> None:
    answer = server.post("/v1/denoise", data=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "BAD_REQUEST"


def test_a_text_with_half_a_sign_is_taken(server: Rehearsal) -> None:
    body = b'{"prompt": "\\ud800 rain"}'
    answer = server.post("/v2/MusicAI", data=body, headers={"Content-Type": "application/json"})
    assert answer.ok
    assert server.accepted()[0]["parameters"]["prompt"] == "? rain"


def test_unknown_paths_and_methods(server: Rehearsal) -> None:
    assert server.get("/v1/nothing").json()["error_code"] == "RESOURCE_NOT_FOUND"
    assert server.get("/v1/denoise").status_code == 405


def test_names_that_are_not_the_servers_are_refused(server: Rehearsal) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", "/rehearsal/ledger", headers={"Host": f"evil.example:{port}"})
    assert connection.getresponse().status == 403
    connection.close()


# Plans


def test_a_plan_has_so_many_places_in_each_category(models_folder: Path) -> None:
    with rehearsing(models_folder, keys={"small": "free", "large": "plus"}, pace_s=30.0) as server:

        def begin(key: str, path: str) -> int:
            data = {"prompt": "x"}
            return server.post(path, data=data, headers={"Authorization": key}).status_code

        assert [begin("small", "/v1/sound_generator") for _ in range(2)] == [200, 429]
        assert begin("small", "/v2/MusicAI") == 200
        assert [begin("large", "/v1/sound_generator") for _ in range(4)] == [200, 200, 200, 429]
        assert server.ledger()["counts"]["accepted"] == 5


def test_a_plan_without_the_model_is_told_so(models_folder: Path) -> None:
    with rehearsing(models_folder, plan="plus") as server:
        answer = server.post("/v2/MusicAI", json={"prompt": "x", "model": "v7-pro"})
        assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN")


def test_by_id_may_be_asked_so_often_a_minute(models_folder: Path) -> None:
    with rehearsing(models_folder, plan="free") as server:
        query = {"conversionType": "COVER", "task_id": "x"}
        asked = [server.get("/v1/byId", params=query).status_code for _ in range(21)]
        assert asked == [404] * 20 + [429]
        assert [poll["http_status"] for poll in server.ledger()["polls"]] == asked
        server.reset()
        assert server.get("/v1/byId", params=query).status_code == 404


def test_a_minute_later_by_id_may_be_asked_again() -> None:
    clock = ManualClock()
    accounts = Accounts({}, clock, plan="free")
    account = accounts.of("key")
    for _ in range(ALLOWANCES["free"].polls):
        accounts.count_poll(account)
    with pytest.raises(Refusal):
        accounts.count_poll(account)
    clock.advance(60.0)
    accounts.count_poll(account)


# Uploads


def test_an_upload_that_is_reserved_first(server: Rehearsal, bounce: Path) -> None:
    data = bounce.read_bytes()
    wanted = {
        "filename": "bounce.wav",
        "content_type": "audio/wav",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    place = server.post("/v2/upload_audio", json=wanted).json()
    assert place["message"] == "Upload prepared"
    done = f"/v2/upload_audio/{place['upload_id']}/complete"
    assert server.post(done).status_code == 424
    stored = requests.post(place["upload_url"], data=place["fields"], files={"file": data}, timeout=30)
    assert stored.status_code == 204
    for _ in range(2):
        assert server.post(done).json() == {
            "success": True,
            "message": "Upload ready",
            "upload_id": place["upload_id"],
            "expires_in_seconds": 86400,
        }
    assert server.post(f"{done}/pre-process").json()["phase"] == "ready"
    task = server.post("/v2/Remix", data={"prompt": "x", "upload_id": place["upload_id"]}).json()
    assert task["success"] is True
    assert server.accepted()[0]["audio_sha256"] == wanted["sha256"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"size_bytes": 1023}, 422),
        ({"size_bytes": 81 << 20}, 400),
        ({"content_type": "text/html"}, 422),
        ({"sha256": "x"}, 422),
    ],
)
def test_places_that_are_not_given(server: Rehearsal, change: dict[str, Any], status: int) -> None:
    wanted = {"content_type": "audio/wav", "size_bytes": 2000, **change}
    assert server.post("/v2/upload_audio", json=wanted).status_code == status


def test_a_form_with_other_fields_or_another_file_is_refused(server: Rehearsal) -> None:
    place = server.post("/v2/upload_audio", json={"content_type": "audio/wav", "size_bytes": 2000}).json()
    for fields, size, status in (
        ({**place["fields"], "more": "x"}, 2000, 403),
        ({**place["fields"], "policy": "x"}, 2000, 403),
        (place["fields"], 1999, 400),
    ):
        answer = requests.post(place["upload_url"], data=fields, files={"file": b"x" * size}, timeout=30)
        assert answer.status_code == status
    assert server.post("/v2/upload_audio/upl_none/complete").status_code == 404


def _reserved(clock: Clock) -> tuple[Storage, dict[str, Any]]:
    storage = Storage(clock)
    return storage, storage.reserve("audio/wav", 2000, "", "http://x")


def test_a_form_and_a_handle_live_for_a_time() -> None:
    clock = ManualClock()
    storage, place = _reserved(clock)
    clock.advance(FORM_LIFE_S)
    with pytest.raises(Refusal, match="Policy expired"):
        storage.put(place["fields"], None)
    with pytest.raises(Refusal, match="no such upload"):
        storage.complete(place["upload_id"])
    assert HANDLE_LIFE_S > FORM_LIFE_S


# Links


def test_a_link_gives_parts_and_by_id_a_fresh_one_when_it_has_expired(
    server: Rehearsal, bounce: Path
) -> None:
    with bounce.open("rb") as file:
        fields = {"target_format": "wav"}
        task = server.post("/v1/file_convert", data=fields, files={"audio_file": file}).json()["task_id"]
    link = server.ended("FILE_CONVERT", task)["output_file_path"]
    whole = requests.get(link, timeout=30).content
    part = requests.get(link, headers={"Range": "bytes=100-"}, timeout=30)
    assert (part.status_code, part.content) == (206, whole[100:])
    assert requests.head(link, timeout=30).headers["content-length"] == str(len(whole))
    assert server.conversion("FILE_CONVERT", task)["output_file_path"] == link
    server.fault("expired")
    assert requests.get(link, timeout=30).status_code == 403
    assert requests.get(link, timeout=30).status_code == 403
    fresh = server.conversion("FILE_CONVERT", task)["output_file_path"]
    assert fresh != link
    assert requests.get(fresh, timeout=30).content == whole


def test_a_link_expires_by_itself(tmp_path: Path) -> None:
    clock = ManualClock()
    links = Links(clock, life_s=10.0)
    address = links.address(tmp_path / "a b.mp3", "http://x/")
    assert address.endswith("/a%20b.mp3")
    assert links.behind(address) == tmp_path / "a b.mp3"
    clock.advance(10.0)
    with pytest.raises(Refusal, match="expired"):
        links.behind(address)
    assert links.address(tmp_path / "a b.mp3", "http://x/") != address
    assert links.behind("http://x/somewhere/else") is None


# Without --rehearse


def test_the_local_engine_answers_what_it_can_and_says_what_it_cannot(
    models_folder: Path, bounce: Path
) -> None:
    with rehearsing(models_folder, rehearse=False) as server:
        with bounce.open("rb") as file:
            task = server.post("/v1/audio_to_midi", files={"audio_file": file}).json()["task_id"]
        assert server.ended("AUDIO_TO_MIDI", task)["midi_file_path"]
        answer = server.post("/v2/MusicAI", json={"prompt": "x"})
        assert answer.status_code == 403
        assert "the local engine cannot do MusicAI" in answer.json()["message"]


def test_without_models_only_notes_are_missing(tmp_path: Path, bounce: Path) -> None:
    with rehearsing(tmp_path / "no-models") as server:
        with bounce.open("rb") as file:
            answer = server.post("/v1/audio_to_midi", files={"audio_file": file})
        assert answer.status_code == 403
        assert "bridge models pull" in answer.json()["message"]
        assert server.post("/v1/sound_generator", data={"prompt": "x"}).ok
