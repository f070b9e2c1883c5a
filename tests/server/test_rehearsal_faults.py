"""Faults on request, each over a real socket, and the ledger that counts through all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.errors import WrongUse
from bridge.server.compatible.faults import ABOUT, Fault, Faults
from support.rehearsal import Rehearsal, rehearsing, rehearsing_beside

SOUND = {"prompt": "x"}
PATH = "/v1/sound_generator"


@pytest.fixture
def server(models_folder: Path) -> Iterator[Rehearsal]:
    with rehearsing(models_folder) as running:
        yield running


# Which request is struck


def test_a_fault_strikes_the_next_requests_that_it_fits() -> None:
    faults = Faults()
    faults.add(Fault.in_words("503 route=/v1/byId times=2"))
    faults.add(Fault.in_words("429 retry_after=7 route=/v1/*"))
    assert faults.strike("POST", "/v2/MusicAI") == {}
    seen = [faults.strike("GET", "/v1/byId").get("status") for _ in range(4)]
    assert [one.status if one else None for one in seen] == [503, 503, 429, None]
    assert seen[2] is not None
    assert seen[2].retry_after == 7


def test_a_fault_without_end_ends_with_a_reset() -> None:
    faults = Faults([Fault.in_words("slow seconds=0.1 times=0")])
    assert all(faults.strike("GET", "/v1/byId") for _ in range(5))
    faults.clear()
    assert faults.strike("GET", "/v1/byId") == {}


def test_what_leaves_nothing_to_do_for_others_lets_them_wait() -> None:
    faults = Faults(map(Fault.in_words, ("503", "html", "slow", "lost_answer", "failed", "reset")))
    seen = [set(faults.strike("POST", "/v1/denoise")) for _ in range(5)]
    assert seen == [{"status", "slow"}, {"html"}, {"lost_answer", "failed"}, {"reset"}, set()]


def test_a_fault_strikes_only_what_it_can() -> None:
    for kind, (which, _) in ABOUT.items():
        fault = Fault(kind)
        fits = {
            "link": fault.fits("GET", "/cdn/a/b.mp3"),
            "upload": fault.fits("POST", "/storage"),
            "conversion": fault.fits("POST", "/v1/denoise"),
            "poll": fault.fits("GET", "/v1/byId"),
        }
        expected = {"any": "link upload conversion poll", "upload": "upload conversion"}.get(which, which)
        assert {name for name, is_fit in fits.items() if is_fit} == set(expected.split())


@pytest.mark.parametrize("words", ["", "boom", "slow seconds=x", "slow speed=1", "status status=x"])
def test_words_that_are_no_fault(words: str) -> None:
    with pytest.raises(WrongUse):
        Fault.in_words(words)


def test_what_is_no_fault_is_refused_by_the_server_too(server: Rehearsal) -> None:
    for told in ("boom", {"kind": "slow", "seconds": "x"}, 5):
        answer = requests.post(f"{server.address}/rehearsal/faults", json=told, timeout=10)
        assert answer.status_code == 400
    assert server.get("/v1/getAllVoices", headers={"X-Rehearse": "boom"}).status_code == 400


# What happens then


def test_statuses_with_and_without_a_time_to_wait(server: Rehearsal) -> None:
    server.fault("429", "429 retry_after=3", "500", "502", "503")
    answers = [server.post(PATH, data=SOUND) for _ in range(6)]
    assert [one.status_code for one in answers] == [429, 429, 500, 502, 503, 200]
    assert [one.headers.get("retry-after") for one in answers[:2]] == [None, "3"]
    assert answers[0].json()["error_code"] == "TOO_MANY_REQUESTS"
    ledger = server.ledger()
    assert ledger["counts"]["accepted"] == 1
    assert ledger["requests"][f"POST {PATH}"] == 6
    assert ledger["faults"] == {"status": 5}


def test_a_header_strikes_its_own_request_alone(server: Rehearsal) -> None:
    headers = {"X-Rehearse": "402; slow seconds=0.01"}
    assert server.post(PATH, data=SOUND, headers=headers).json()["error_code"] == "INSUFFICIENT_CREDITS"
    assert server.post(PATH, data=SOUND).ok


def test_a_slow_answer(server: Rehearsal) -> None:
    server.fault("slow seconds=0.3")
    began = time.monotonic()
    assert server.get("/v1/getAllVoices").ok
    assert time.monotonic() - began >= 0.3


def test_a_reset_in_mid_upload_and_nothing_is_accepted(server: Rehearsal) -> None:
    server.fault("reset after_bytes=100000")
    with pytest.raises(requests.ConnectionError):
        server.post("/v1/denoise", files={"audio_file": ("a.wav", b"x" * 30_000_000)})
    server.fault("reset")
    with pytest.raises(requests.ConnectionError):
        server.post(PATH, data=SOUND)
    assert server.ledger()["submissions"] == []
    assert server.ledger()["faults"] == {"reset": 2}


def test_a_lost_answer_is_accepted_and_counted_all_the_same(server: Rehearsal) -> None:
    server.fault("lost_answer", "lost_answer status=503")
    with pytest.raises(requests.ConnectionError):
        server.post(PATH, data=SOUND)
    assert server.post(PATH, data=SOUND).status_code == 503
    tasks = [one["task_id"] for one in server.accepted()]
    assert len(tasks) == 2
    assert all(server.ended("SOUND_GENERATOR", task)["status"] == "COMPLETED" for task in tasks)


def test_a_task_fails_when_that_is_asked_for(server: Rehearsal) -> None:
    server.fault({"kind": "failed", "reason": "Too quiet."}, "failed word=ERROR")
    tasks = [server.post(PATH, data=SOUND).json()["task_id"] for _ in range(2)]
    first, second = (server.ended("SOUND_GENERATOR", task) for task in tasks)
    assert (first["status"], first["message"]) == ("FAILED", "Too quiet.")
    assert second["status"] == "ERROR"
    assert "conversion_path" not in first


PIECE = 100


def cut_off(link: str) -> bytes:
    """What came until the connection ended too early."""
    got = b""
    with requests.get(link, stream=True, timeout=30) as answer:
        try:
            for piece in answer.iter_content(PIECE):
                got += piece
        except requests.RequestException:
            return got
    raise AssertionError("it came whole")


def test_a_truncated_download_goes_on_where_it_broke_off(server: Rehearsal) -> None:
    task = server.post(PATH, data=SOUND).json()["task_id"]
    link = server.ended("SOUND_GENERATOR", task)["conversion_path"]
    whole = requests.get(link, timeout=30).content
    for fault, there in (("truncated after_bytes=1000", 1000), ("truncated", len(whole) // 2)):
        server.fault(fault)
        got = cut_off(link)
        assert whole[:there].startswith(got)
        assert len(got) > there - PIECE
        rest = requests.get(link, headers={"Range": f"bytes={len(got)}-"}, timeout=30)
        assert got + rest.content == whole


def test_a_captive_portal_and_another_host(server: Rehearsal) -> None:
    server.fault("html", "redirect location=http://127.0.0.1:9/x")
    page = server.get("/v1/getAllVoices")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    answer = server.post(PATH, data=SOUND)
    assert (answer.status_code, answer.headers["location"]) == (307, "http://127.0.0.1:9/x")
    assert server.accepted() == []


def test_errors_in_the_older_form(server: Rehearsal) -> None:
    server.fault("legacy_errors times=2", "503")
    assert server.post(PATH, data=SOUND).json() == {
        "success": False,
        "error": "The service is temporarily unavailable.",
    }
    assert set(server.post(PATH).json()) == {"success", "error"}
    assert "error_code" in server.post(PATH).json()


# The process


@pytest.mark.slow
def test_serve_rehearse_in_a_process_of_its_own(bridge_home: Path) -> None:
    began = time.monotonic()
    with rehearsing_beside(bridge_home, "--pace", "0", "--fault", "503 route=/v1/byId") as server:
        assert time.monotonic() - began < 20  # 3 s on a machine that has nothing else to do
        task = server.post(PATH, data=SOUND).json()["task_id"]
        query: dict[str, Any] = {"conversionType": "SOUND_GENERATOR", "task_id": task}
        assert server.get("/v1/byId", params=query).status_code == 503
        assert server.ended("SOUND_GENERATOR", task)["status"] == "COMPLETED"
        server.reset()
        assert server.ledger()["counts"]["accepted"] == 0
    assert {path.name for path in bridge_home.iterdir()} == {"models"}
    with pytest.raises(requests.ConnectionError):
        server.get("/v1/getAllVoices")
