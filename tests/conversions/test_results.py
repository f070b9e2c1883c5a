"""How answers are read: the documented shapes, older ones, and what nobody promised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.conversions import results
from bridge.conversions.catalogue import CATALOGUE
from bridge.conversions.model import MUSICGPT

BASE = "https://api.example.com/api/public"


def found(conversion: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {one.role: one.value for one in results.find(conversion, answer, BASE)}


def test_every_conversion_of_the_table_has_its_places() -> None:
    gathered = {"key_bpm"}
    for name, row in CATALOGUE.items():
        if MUSICGPT in row.quality:
            roles = {place.role for place in results.PLACES[name]}
            assert "*" in roles or row.roles() - gathered <= roles, name
            assert row.conversion_type or results.ASSUMED_TYPES[name], name


def test_two_variants_with_a_wav_before_the_mp3() -> None:
    answer = {
        "conversion_path_1": "https://cdn.example.com/1.mp3",
        "conversion_path_wav_1": "https://cdn.example.com/1.wav",
        "conversion_path_2": "https://cdn.example.com/2.mp3",
        "conversion_path_wav_2": None,
        "lyrics_1": "la",
        "lyrics_2": " ",
        "lyrics_timestamped_1": '[{"start": 1}]',
        "album_cover_path": "",
    }
    first, *_ = results.find("MusicAI", answer, BASE)
    assert first.others == ("https://cdn.example.com/1.mp3",)
    assert found("MusicAI", answer) == {
        "take_1": "https://cdn.example.com/1.wav",
        "take_2": "https://cdn.example.com/2.mp3",
        "lyrics_1": "la",
        "lyrics_times_1": [{"start": 1}],
    }


def test_the_flat_form_of_older_pages_is_the_first_variant() -> None:
    assert found("MusicAI", {"audio_url": "https://x.example.com/a.mp3", "lyrics": "la"}) == {
        "take_1": "https://x.example.com/a.mp3",
        "lyrics_1": "la",
    }


@pytest.mark.parametrize("as_text", [True, False])
def test_stems_as_an_object_or_as_json_text(as_text: bool) -> None:
    stems = {
        "vocals": "https://x.example.com/v.mp3",
        "Lead Vocal": "l.mp3",
        "drums": "",
        "nul": {"url": "/n"},
    }
    wavs = {"vocals": None, "drums": "https://x.example.com/d.wav"}
    pack = json.dumps if as_text else lambda value: value
    assert found("Extraction", {"audio_url": pack(stems), "audio_url_wav": pack(wavs)}) == {
        "vocals": "https://x.example.com/v.mp3",
        "drums": "https://x.example.com/d.wav",
        "lead_vocal": "https://api.example.com/l.mp3",
        "nul_": "https://api.example.com/n",
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://cdn.example.com/a b.mp3", "https://cdn.example.com/a b.mp3"),
        (" http://cdn.example.com/a.mp3?sig=1 ", "http://cdn.example.com/a.mp3?sig=1"),
        ("/files/a.wav", "https://api.example.com/files/a.wav"),
        ("files/a.wav", "https://api.example.com/files/a.wav"),
        ("//cdn.example.com/a", "https://cdn.example.com/a"),
        ({"url": "/a"}, "https://api.example.com/a"),
        (["/a", "/b"], "https://api.example.com/a"),
        ('["/a"]', "https://api.example.com/a"),
        ("https://bucket.s3.amazonaws.com", None),
        ("https://bucket.s3.amazonaws.com/", None),
        ("file:///etc/passwd", None),
        ("s3://bucket/a", None),
        ("javascript:alert(1)", None),
        ("http://[broken/a", None),
        ("http://host:port/a", None),
        ("null", None),
        ("None", None),
        ("", None),
        ({}, None),
        ([], None),
        (7, None),
        (None, None),
    ],
)
def test_what_a_link_means(value: Any, expected: str | None) -> None:
    assert results.address(value, BASE) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "IN_QUEUE"}, "running"),
        ({"status": "IN_PROGRESS"}, "running"),
        ({"status": "processing"}, "running"),
        ({"status": "SOMETHING_NEW"}, "running"),
        ({"status": None}, "running"),
        ({}, "running"),
        ({"status": "COMPLETED"}, "done"),
        ({"status": " completed "}, "done"),
        ({"no_noise": "/a.mp3"}, "done"),
        ({"status": "ERROR"}, "failed"),
        ({"status": "Failed", "no_noise": "/a.mp3"}, "failed"),
        ({"success": False}, "failed"),
    ],
)
def test_whether_it_runs(answer: dict[str, Any], expected: str) -> None:
    assert results.standing("denoise", answer, BASE) == expected


@pytest.mark.parametrize(
    ("answer", "usd"),
    [
        ({"conversion_cost": 0.157}, 0.157),
        ({"conversion_cost": "0.48", "credit_estimate": 0.1}, 0.48),
        ({"credit_estimate": 0}, 0.0),
        ({"conversion_cost": 150.5, "credit_estimate": 0.02}, 0.02),
        ({"conversion_cost": 45}, None),
        ({"conversion_cost": -1}, None),
        ({"conversion_cost": True}, None),
        ({"conversion_cost": "nan"}, None),
        ({"conversion_cost": "much"}, None),
        ({"conversion_cost": 10**400}, None),
        ({}, None),
    ],
)
def test_what_it_costs(answer: dict[str, Any], usd: float | None) -> None:
    assert results.cost_usd(answer) == usd


def test_why_it_failed() -> None:
    assert results.failure_words({"reason": "", "status_msg": " no key ", "message": "x"}) == "no key"
    assert results.failure_words({"message": 3}) == ""


def test_the_conversion_with_and_without_its_wrapping() -> None:
    inner = {"status": "COMPLETED"}
    assert results.conversion_in({"success": True, "conversion": inner}) == inner
    assert results.conversion_in({"conversion": [inner]}) == inner
    assert results.conversion_in(inner) == inner
    assert results.conversion_in({"conversion": None, "status": "X"})["status"] == "X"


KEYS = sorted({key for places in results.PLACES.values() for place in places for key in place.keys})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    conversion=st.sampled_from(sorted(results.PLACES)),
    answer=st.dictionaries(st.sampled_from([*KEYS, "status", "success"]), VALUES, max_size=6),
)
def test_no_answer_is_a_crash(conversion: str, answer: dict[str, Any]) -> None:
    for one in results.find(conversion, answer, BASE):
        if one.form == "link":
            assert one.value.startswith(("https://", "http://"))
        assert one.role == results.safe_role(one.role)
    assert results.standing(conversion, answer, BASE) in ("running", "done", "failed")
    results.cost_usd(answer)
    results.failure_words(answer)
