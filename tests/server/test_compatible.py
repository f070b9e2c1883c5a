"""The MusicGPT-compatible server over real sockets, asked by plain `requests` as clients in the field do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.conversions.catalogue import CATALOGUE
from bridge.conversions.model import Conversion
from bridge.conversions.results import PLACES, find
from bridge.server.compatible.answers import is_pair, type_of
from bridge.server.compatible.checking import SOURCES, known
from support.rehearsal import Rehearsal, rehearsing
from support.tones import write_tone

GIVEN: dict[str, Any] = {
    "start_time": 200,
    "end_time": 900,
    "replace_start_at": 0.2,
    "replace_end_at": 0.5,
    "extend_after": 0.6,
    "speed_change_factor": 2,
    "target_format": "wav",
    "stems": '["vocals","drums","bass"]',
    "voice_id": "any",
    "reference_audio_url": None,
    "translate": True,
    "word_timestamps": True,
    "generate_album_cover": True,
    "lyrics_timestamps": True,
}
"""Values for parameters, where a word will not do."""


@pytest.fixture
def server(models_folder: Path) -> Iterator[Rehearsal]:
    with rehearsing(models_folder) as running:
        yield running


@pytest.fixture
def bounce(tmp_path: Path) -> Path:
    path = tmp_path / "Bass 120bpm.wav"
    write_tone(path, hertz=110.0)
    return path


def fields_of(row: Conversion) -> dict[str, Any]:
    """Something for every parameter that must be given, and for those that ask for more results."""
    wanted = {one.name for one in known(row) if one.required}
    wanted |= {name for group in row.one_of for name in group}
    wanted |= {one.name for one in known(row)} & set(GIVEN)
    given = {name: GIVEN.get(name, "a rehearsal") for name in wanted if not name.endswith("_file")}
    return {name: value for name, value in given.items() if value is not None}


def send(server: Rehearsal, row: Conversion, fields: dict[str, Any], file: Path) -> requests.Response:
    """As the documentation has it for this row."""
    if row.method == "GET":
        return server.get(row.path, params=fields)
    if row.encoding == "application/json":
        return server.post(row.path, json=fields)
    if row.encoding != "multipart/form-data":
        return server.post(row.path, data=fields)
    names = [SOURCES[row.input][0], *(one.name for one in known(row) if one.name.endswith("_file"))]
    files = {name: (file.name, file.read_bytes()) for name in names}
    return server.post(row.path, data=fields, files=files)


# The documented example calls


def test_the_documented_call_with_an_address(server: Rehearsal, bounce: Path) -> None:
    with bounce.open("rb") as file:
        first = server.post(
            "/v1/file_convert", data={"target_format": "wav"}, files={"audio_file": file}
        ).json()
    address = server.ended("FILE_CONVERT", first["task_id"])["output_file_path"]
    base, key = f"{server.base_url}/v1", server.key
    answer = requests.post(
        base + "/audio_to_midi",
        headers={"Authorization": key},
        data={
            "audio_url": address,
            "sonify_midi": True,
            "save_note_events": True,
            "webhook_url": "https://example.com/hook",
        },
        timeout=30,
    )
    said = answer.json()
    assert (answer.status_code, said["success"]) == (200, True)
    assert said["message"] == "MIDI conversion task queued successfully"
    sent = server.accepted()[-1]
    assert (sent["encoding"], sent["task_id"]) == ("application/x-www-form-urlencoded", said["task_id"])
    assert sent["parameters"] == {"sonify_midi": "True", "save_note_events": "True"}


def test_the_documented_call_with_a_file(server: Rehearsal, bounce: Path) -> None:
    base, key = f"{server.address}/v1", server.key
    with bounce.open("rb") as f:
        answer = requests.post(
            base + "/audio_to_midi",
            headers={"Authorization": key},
            data={"sonify_midi": True, "save_note_events": True, "webhook_url": "https://example.com/hook"},
            files={"audio_file": f},
            timeout=30,
        )
    said = answer.json()
    assert said["success"] is True
    done = server.ended("AUDIO_TO_MIDI", said["task_id"])
    assert done["status"] == "COMPLETED"
    midi, table, sound = (
        requests.get(done[name], timeout=30)
        for name in ("midi_file_path", "notes_file_path", "sonify_file_path")
    )
    assert midi.content[:4] == b"MThd"
    assert b"\xff\x51\x03\x07\xa1\x20" in midi.content  # 500,000 µs a quarter note: 120 BPM
    assert table.text.startswith("start_time_s,end_time_s,pitch_midi,velocity,pitch_bend\n")
    assert sound.content[:4] == b"RIFF"
    assert midi.headers["content-type"] == "audio/midi"


# Every row of the table


@pytest.mark.slow
def test_every_conversion_is_answered_and_the_client_finds_its_results(
    server: Rehearsal, bounce: Path
) -> None:
    begun = {}
    for row in CATALOGUE.values():
        answer = send(server, row, fields_of(row), bounce)
        assert answer.status_code == 200, (row.name, answer.text)
        said = answer.json()
        assert said["success"] is True
        assert said["credit_estimate"] >= 0
        if row.synchronous:
            assert said["lyrics"]
            continue
        assert said["eta"] == 0
        ids = {"conversion_id_1", "conversion_id_2"} if is_pair(row) else {"conversion_id"}
        assert ids <= set(said)
        begun[row.name] = said["task_id"]
        server.ended(type_of(row), said["task_id"])
    for name, task in begun.items():
        check_results(server, CATALOGUE[name], task)


def check_results(server: Rehearsal, row: Conversion, task: str) -> None:
    done = server.conversion(type_of(row), task)
    assert done["status"] == "COMPLETED", (row.name, done)
    found = {one.role: one for one in find(row.name, done, server.base_url)}
    expected = {place.role for place in PLACES[row.name]} - {"*"}
    assert expected <= set(found) or row.name == "Extraction", (row.name, done)
    if row.name == "Extraction":
        assert set(found) == {"vocals", "drums", "bass"}
    for one in found.values():
        for link in (one.value, *one.others) if one.form == "link" else ():
            answer = requests.get(link, timeout=30)
            assert answer.ok
            assert len(answer.content) > 50


def test_every_row_is_served_below_both_prefixes_and_other_versions(server: Rehearsal) -> None:
    paths = [(row.method, row.path) for row in CATALOGUE.values()]
    paths += [("POST", path) for path in ("/v1/MusicAI", "/v1/Extraction", "/v2/Remix")]
    for method, path in paths:
        for prefix in ("", "/api/public"):
            answer = requests.request(method, server.address + prefix + path, timeout=30)
            assert answer.status_code == 401, path
            assert answer.json() == {
                "success": False,
                "error_code": "UNAUTHORIZED_ACCESS",
                "message": "Authentication failed",
            }


# What clients send that the documentation does not list


@pytest.mark.parametrize(
    ("how", "encoding"),
    [
        ({"data": {"prompt": "rain", "audio_length": "7"}}, "application/x-www-form-urlencoded"),
        ({"json": {"prompt": "rain", "audio_length": 7}}, "application/json"),
        ({"files": {"prompt": (None, "rain"), "audio_length": (None, "7")}}, "multipart/form-data"),
    ],
)
def test_any_encoding_is_taken_for_any_row(server: Rehearsal, how: dict[str, Any], encoding: str) -> None:
    assert server.post("/v1/sound_generator", **how).json()["success"] is True
    (sent,) = server.accepted()
    assert sent["encoding"] == encoding
    assert {name: str(value) for name, value in sent["parameters"].items()} == {
        "prompt": "rain",
        "audio_length": "7",
    }


@pytest.mark.slow
def test_other_names_of_fields_and_other_words_for_yes_and_no(server: Rehearsal, bounce: Path) -> None:
    with bounce.open("rb") as file:
        first = server.post("/v1/denoise", files={"audio_file": file}).json()
    link = server.ended("DENOISE", first["task_id"])["no_noise"]
    again = server.post(
        "/v1/audio_speed_changer",
        json={"audio_path": link, "speed_change_factor": "0.5", "audio_extension": "ogg"},
    ).json()
    assert server.ended("AUDIO_SPEED_CHANGER", again["task_id"])["output_file"].endswith(".ogg")
    fields = {"audio_path": link, "voice_id": "x", "remove_background": "True"}
    assert server.post("/v1/VoiceChanger", data=fields).json()["success"] is True
    midi = {"audio_url": link, "sonify_midi": "0", "save_note_events": 0}
    task = server.post("/v1/audio_to_midi", data=midi).json()["task_id"]
    done = server.ended("AUDIO_TO_MIDI", task)
    assert (done["sonify_file_path"], done["notes_file_path"]) == ("", "")
    assert done["midi_file_path"]


def test_the_key_may_stand_behind_bearer_and_is_masked_in_the_ledger(models_folder: Path) -> None:
    key = "mgpt-0123456789-abcdef"
    with rehearsing(models_folder, keys={key: "pro"}) as server:
        headers = {"Authorization": f"Bearer {key}"}
        assert server.post("/v1/sound_generator", data={"prompt": "x"}, headers=headers).ok
        (sent,) = server.accepted()
        assert key not in json.dumps(server.ledger())
        assert sent["key"].startswith("mgp")
        wrong = server.post("/v1/sound_generator", data={"prompt": "x"}, headers={"Authorization": "no"})
        assert wrong.status_code == 401


def test_unknown_fields_are_let_pass_and_told(server: Rehearsal) -> None:
    server.post("/v1/sound_generator", data={"prompt": "x", "sound_length": "9"})
    assert server.accepted()[0]["ignored"] == ["sound_length"]


# byId


@pytest.mark.slow
def test_a_task_goes_through_its_states_and_is_found_by_task_or_by_conversion(models_folder: Path) -> None:
    with rehearsing(models_folder, pace_s=0.4) as server:
        said = server.post("/v2/MusicAI", json={"prompt": "rain"}).json()
        first = server.conversion("MUSIC_AI", said["task_id"])
        assert first["status"] == "IN_QUEUE"
        assert set(first) == {
            "task_id", "conversion_id_1", "conversion_id_2", "feature", "status", "message", "webhook_url",
            "createdAt", "updatedAt",
        }  # fmt: skip
        done = server.ended("MUSIC_AI", said["task_id"])
        query = {"conversionType": "MUSIC_AI", "conversion_id": said["conversion_id_2"]}
        assert server.get("/v1/byId", params=query).json()["conversion"] == done
        seen = [poll["status"] for poll in server.ledger()["polls"]]
        assert sorted(set(seen), key=seen.index) == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
        for number in (1, 2):
            assert done[f"conversion_path_{number}"].endswith(".mp3")
            assert done[f"conversion_path_wav_{number}"].endswith(".wav")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"conversionType": "AUDIO_TO_MIDI"}, 422),
        ({"conversionType": "AUDIO_TO_MIDI", "task_id": "a", "conversion_id": "b"}, 422),
        ({"conversionType": "NO_SUCH_TYPE", "task_id": "a"}, 422),
        ({"task_id": "a"}, 422),
        ({"conversionType": "AUDIO_TO_MIDI", "task_id": "a"}, 404),
    ],
)
def test_questions_that_have_no_answer(server: Rehearsal, query: dict[str, str], status: int) -> None:
    answer = server.get("/v1/byId", params=query)
    assert answer.status_code == status
    assert answer.json()["success"] is False


def test_a_task_is_found_only_by_its_own_type_and_key(server: Rehearsal) -> None:
    task = server.post("/v1/sound_generator", data={"prompt": "x"}).json()["task_id"]
    for kind, key, status in (
        ("SOUND_GENERATOR", server.key, 200),
        ("COVER", server.key, 404),
        ("SOUND_GENERATOR", "other", 404),
    ):
        query = {"conversionType": kind, "task_id": task}
        assert server.get("/v1/byId", params=query, headers={"Authorization": key}).status_code == status


# Voices


def test_voices_come_in_pages_that_begin_with_zero(server: Rehearsal) -> None:
    first = server.get("/v1/getAllVoices").json()
    assert (first["limit"], first["page"], len(first["voices"])) == (20, 0, 20)
    last = server.get("/v1/getAllVoices", params={"limit": 20, "page": 2}).json()
    assert first["total"] == 40 + len(last["voices"])
    found = server.get("/v1/searchVoices", params={"query": "alto", "limit": 3}).json()
    assert all("Alto" in one["voice_name"] for one in found["voices"])
    assert len(found["voices"]) == 3
    assert server.get("/v1/searchVoices").status_code == 422
    assert server.get("/v1/getAllVoices", params={"page": -1}).status_code == 422


def test_the_document_says_what_the_key_is_that_it_asks_for(server: Rehearsal) -> None:
    document = requests.get(f"{server.address}/openapi.json", timeout=30).json()
    schemes = document["components"]["securitySchemes"]
    operations = [one for path in document["paths"].values() for one in path.values()]
    asked = {name for one in operations for need in one.get("security", []) for name in need}
    assert asked == set(schemes) == {"ApiKeyAuth"}
    assert schemes["ApiKeyAuth"] == {"type": "apiKey", "in": "header", "name": "Authorization"}
