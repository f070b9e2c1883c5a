"""The MusicGPT key: where it is kept, and how nobody gets to see it.

The variable MUSICGPT_API_KEY wins; else the system's keyring has it, where `bridge login` puts it. Whoever
takes a key from here has told `hidden` of it, through which every log and every line of the terminal goes.
"""

from __future__ import annotations

import base64
import html
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from bridge.errors import BridgeError, NoKey

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

VARIABLE = "MUSICGPT_API_KEY"
SERVICE, USER = "DAW Bridge", "musicgpt"
FRESH_S = 10.0
"""So long it is not asked again: a login beside a running daemon counts after that."""
LONG = 16
"""Of a key of so many signs its two ends may be shown."""
SECRET = 12
"""Shorter ones are what rehearsals take; masking them would tear words apart."""

NO_KEY = "there is no MusicGPT key."
LOG_IN = f"Run `bridge login`, or set the variable {VARIABLE}."
SET_VARIABLE = f"Set the variable {VARIABLE} instead, in the place from which the bridge is started."


# What must not be seen


class Secret:
    """A text that shows itself only when it is asked to; whatever prints it shows `masked`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        hide(text)

    def reveal(self) -> str:
        return self._text

    def __str__(self) -> str:
        return masked(self._text)

    def __repr__(self) -> str:
        return f"Secret({masked(self._text)})"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written down")


def masked(secret: str) -> str:
    """`msk…f3a1`: enough to tell two keys apart, too little to use one."""
    return f"{secret[:3]}…{secret[-4:]}" if len(secret) >= LONG else "*" * len(secret)


_MASKS: dict[str, str] = {}
"""Every form in which a secret of this process may turn up, and what is shown instead."""


def hide(secret: str) -> None:
    """From now on `hidden` masks this secret, also where it is quoted or encoded."""
    if len(secret) < SECRET or secret in _MASKS:
        return
    _MASKS.update(dict.fromkeys(_forms(secret), masked(secret)))


def hidden(text: str) -> str:
    """`text` with every known secret masked."""
    known = list(_MASKS.items())  # at once: another thread may be hiding a further one
    for form, mask in sorted(known, key=lambda one: -len(one[0])):
        if form in text:
            text = text.replace(form, mask)
    return text


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield html.escape(secret)
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield from _in_base64(secret)


def _in_base64(secret: str) -> Iterator[str]:
    """The signs that its base64 has wherever it stands in a longer text: one of three alignments."""
    data = secret.encode()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        bits_before, bits = 8 * before, 8 * (before + len(data))
        core = whole[-(-bits_before // 6) : bits // 6]
        yield core
        yield core.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


# Where it is kept


@dataclass(frozen=True)
class Kept:
    """Where the key is, in words, and the key itself where there is one; `remedy` where there is none."""

    place: Literal["variable", "keyring", "nowhere", "no keyring"]
    what: str
    remedy: str = ""
    secret: Secret | None = None


class KeyRing:
    """May be asked from any thread. `keyring` is the system's own unless another one is given."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        keyring: KeyringBackend | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = environment
        self._keyring = keyring
        self._now = now
        self._lock = threading.Lock()
        self._kept: tuple[float, Kept] | None = None

    def get(self) -> str | None:
        """The key; None where there is none. Raises NoKey for one that cannot be one."""
        secret = self.where().secret
        return checked(secret.reveal()) if secret else None

    def where(self) -> Kept:
        """Where the key is. What was found is believed for ten seconds."""
        with self._lock:
            if self._kept is None or self._now() - self._kept[0] > FRESH_S:
                self._kept = self._now(), self._look()
            return self._kept[1]

    def store(self, key: str) -> Kept:
        """Puts the key into the keyring. Raises NoKey for what is no key, and where it cannot be kept."""
        key = checked(key)
        hide(key)
        with _as_no_key("the keyring does not take the key"):
            self._backend().set_password(SERVICE, USER, key)
            kept = self._backend().get_password(SERVICE, USER)
        self._forget_what_was_found()
        if kept != key:
            raise NoKey("the keyring did not keep the key.", remedy=SET_VARIABLE)
        return self.where()

    def forget(self) -> bool:
        """Takes the key out of the keyring; False where there was none. Raises NoKey without a keyring."""
        with _as_no_key("the keyring does not give the key away"):
            backend = self._backend()
            there = backend.get_password(SERVICE, USER) is not None
            if there:
                backend.delete_password(SERVICE, USER)
        self._forget_what_was_found()
        return there

    def backend_name(self) -> str:
        """What the keyring is called. Raises NoKey where there is none."""
        return str(self._backend().name)

    def _forget_what_was_found(self) -> None:
        with self._lock:
            self._kept = None

    def _look(self) -> Kept:
        given = self._environment.get(VARIABLE, "").strip()
        if given:
            return Kept("variable", f"the variable {VARIABLE}", secret=Secret(given))
        try:
            with _as_no_key("the keyring cannot be read"):
                backend = self._backend()
                key = (backend.get_password(SERVICE, USER) or "").strip()
        except NoKey as error:
            return Kept("no keyring", error.message, error.remedy)
        if not key:
            return Kept("nowhere", NO_KEY, LOG_IN)
        return Kept("keyring", f"the keyring of this computer ({backend.name})", secret=Secret(key))

    def _backend(self) -> KeyringBackend:
        """Raises NoKey where the system has no keyring, as on a server without a desktop."""
        import keyring
        from keyring.backends import fail, null

        with _as_no_key("the keyring of this computer cannot be used"):
            backend = self._keyring or keyring.get_keyring()
        if isinstance(backend, (fail.Keyring, null.Keyring)):
            raise NoKey("this computer has no keyring that could keep a key.", remedy=SET_VARIABLE)
        return backend


@contextmanager
def _as_no_key(what: str) -> Iterator[None]:
    """A keyring's backend raises what it likes; here it becomes a NoKey that begins with `what`."""
    try:
        yield
    except BridgeError:
        raise
    except Exception as error:
        why = hidden(str(error)) or type(error).__name__
        raise NoKey(f"{what}: {why}.", remedy=f"Unlock it and try again. Or: {SET_VARIABLE}") from error


def checked(key: str) -> str:
    """The key without blanks around it. Raises NoKey, which does not show it, for what can be none."""
    key = key.strip()
    if not key:
        raise NoKey(NO_KEY, remedy=LOG_IN)
    fits = key.isascii() and key.isprintable() and not any(sign in " '\"" for sign in key)
    if not fits:
        raise NoKey(
            "this cannot be a MusicGPT key: it has blanks, quotes, line breaks or foreign signs in it.",
            remedy="Copy only the key itself from the MusicGPT dashboard, without 'Bearer' before it.",
        )
    return key
