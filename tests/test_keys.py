"""Where the key is kept, and that nobody gets to see it."""

from __future__ import annotations

import base64
import html
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backends import fail, null

from bridge import keys
from bridge.errors import NoKey
from bridge.keys import KeyRing, Secret, checked, hidden, hide, masked
from support.keyrings import FileKeyring, LockedKeyring

KEY = "msk-0123456789/abc+def&f3a1"


@pytest.fixture(autouse=True)
def masks_as_before() -> Iterator[None]:
    before = dict(keys._MASKS)
    yield
    keys._MASKS.clear()
    keys._MASKS.update(before)


@pytest.fixture
def ring(tmp_path: Path) -> FileKeyring:
    return FileKeyring(tmp_path / "keyring.json")


# Where it is kept


def test_the_variable_wins(ring: FileKeyring) -> None:
    ring.set_password(keys.SERVICE, keys.USER, "of-the-keyring-1234")
    found = KeyRing({keys.VARIABLE: f" {KEY}\n"}, keyring=ring)
    assert found.get() == KEY
    assert found.where().place == "variable"
    assert KeyRing({keys.VARIABLE: "  "}, keyring=ring).get() == "of-the-keyring-1234"


def test_stored_found_and_forgotten(ring: FileKeyring) -> None:
    found = KeyRing({}, keyring=ring)
    assert found.get() is None
    assert found.where().remedy == keys.LOG_IN
    kept = found.store(f"{KEY}\n")
    assert (kept.place, str(kept.secret)) == ("keyring", "msk…f3a1")
    assert found.get() == KEY
    assert found.forget()
    assert not found.forget()
    assert found.get() is None


def test_a_login_beside_a_running_bridge_counts_after_ten_seconds(ring: FileKeyring) -> None:
    now = [0.0]
    beside = KeyRing({}, keyring=ring, now=lambda: now[0])
    assert beside.get() is None
    KeyRing({}, keyring=ring).store(KEY)
    now[0] = keys.FRESH_S
    assert beside.get() is None
    now[0] += 0.1
    assert beside.get() == KEY
    KeyRing({}, keyring=ring).forget()
    assert beside.get() == KEY
    now[0] += keys.FRESH_S + 0.1
    assert beside.get() is None


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring])
def test_without_a_keyring_the_variable_is_the_remedy(backend: type[fail.Keyring | null.Keyring]) -> None:
    found = KeyRing({}, keyring=backend())
    assert found.get() is None
    assert found.where().place == "no keyring"
    assert keys.VARIABLE in found.where().remedy
    for ask in (lambda: found.store(KEY), found.forget, found.backend_name):
        with pytest.raises(NoKey) as caught:
            ask()
        assert keys.VARIABLE in caught.value.remedy


def test_a_keyring_that_is_locked_is_a_state_and_no_crash(tmp_path: Path) -> None:
    found = KeyRing({}, keyring=LockedKeyring(tmp_path / "keyring.json"))
    assert found.get() is None
    assert "is locked" in found.where().what
    with pytest.raises(NoKey) as caught:
        found.store(KEY)
    assert KEY not in str(caught.value)


def test_a_keyring_that_forgets_is_noticed(tmp_path: Path) -> None:
    class Forgetful(FileKeyring):
        def set_password(self, service: str, username: str, password: str) -> None:
            """Nothing is kept."""

    with pytest.raises(NoKey, match="did not keep"):
        KeyRing({}, keyring=Forgetful(tmp_path / "keyring.json")).store(KEY)


# What can be a key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "Bearer abc",
        "a\nb",
        "a\r\nX-Other: 1",
        "a\tb",
        "a\x00b",
        "a\x7fb",
        "kläf",
        "k€y",
        "'abc'",
        '"abc"',
        "a\xa0b",
    ],
)
def test_what_cannot_go_into_a_header_is_no_key(text: str) -> None:
    with pytest.raises(NoKey) as caught:
        checked(text)
    assert not text.strip() or text not in str(caught.value)
    if text.strip():
        with pytest.raises(NoKey):
            KeyRing({keys.VARIABLE: text}).get()


@given(st.text(max_size=40))
def test_what_is_taken_makes_one_header(text: str) -> None:
    try:
        key = checked(text)
    except NoKey:
        return
    line = key.encode("ascii")
    assert line
    assert len(line.splitlines()) == 1
    assert line.split() == [line]


# What is seen


def test_masked() -> None:
    assert masked("msk0123456789f3a1") == "msk…f3a1"
    assert masked("rehearse") == "********"
    assert masked("") == ""


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    assert (
        KEY not in f"{secret} {secret!r} {[secret]} {secret.__dict__ if hasattr(secret, '__dict__') else ''}"
    )
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def forms(secret: str) -> dict[str, str]:
    """How a secret may stand in a text of others."""
    encoded = {
        f"base64 after {before} bytes": base64.b64encode(b"x" * before + secret.encode() + b" tail").decode()
        for before in range(4)
    }
    return {
        "plain": f"Authorization: {secret}",
        "json": json.dumps({"key": secret}),
        "repr": repr({"key": secret}),
        "url": f"?key={quote(secret)}&x=1",
        "url, whole": f"?key={quote(secret, safe='')}&x=1",
        "html": f"<p>{html.escape(secret)}</p>",
        "basic": "Basic " + base64.urlsafe_b64encode(f"user:{secret}".encode()).decode(),
        **encoded,
    }


@pytest.mark.parametrize("form", forms(KEY))
def test_every_form_of_a_key_is_hidden(form: str) -> None:
    text = forms(KEY)[form]
    hide(KEY)
    told = hidden(text)
    assert told != text
    assert masked(KEY) in told
    assert KEY not in told


def test_words_stay_whole_where_a_rehearsals_key_is_short() -> None:
    hide("test")
    assert hidden("this is a test") == "this is a test"


def test_whoever_takes_a_key_has_it_hidden(ring: FileKeyring) -> None:
    assert hidden(KEY) == KEY
    KeyRing({keys.VARIABLE: KEY}, keyring=ring).get()
    assert hidden(KEY) == masked(KEY)
