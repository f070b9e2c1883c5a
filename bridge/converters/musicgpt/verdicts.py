"""What an answer of the MusicGPT API means: one table of statuses for all requests. Pure.

A request that costs money (`charges`) is refused, was not sent, or has an unknown outcome: never "try again"
where it may have arrived. A question that costs nothing may always be asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bridge.errors import BridgeError, NoCredit, NoKey, NotSent, OutcomeUnknown, Rejected, TryLater

LOG_IN = "Run `bridge login` with a key that MusicGPT takes."
ADD_CREDIT = "Add credit there, then `bridge retry JOB`."
CHECK_ADDRESS = "Is `base_url` under [musicgpt] right?"
ASK_PROVIDER = "Look into your account at MusicGPT, then `bridge retry JOB`."
LOOK_AT_INPUT = "Mend what it says in the preset or on the command line, then `bridge retry JOB`."
CHECK_NETWORK = "Is this machine online? It is tried again."
LOG_INTO_NETWORK = (
    "Is this a hotel's or a café's network that wants a log-in first? Open a page in the browser."
)
RESOLVE = (
    "Look at MusicGPT whether it is there, then: `bridge resolve JOB --ticket ID` if it is,"
    " `--resubmit` to send it again, `--forget` to give it up."
)


@dataclass(frozen=True)
class Answer:
    """What came back. `data` is None where it is no JSON object; `kind` is its media type."""

    status: int
    data: Mapping[str, Any] | None
    kind: str = ""
    retry_after: str | None = None
    location: str = ""

    @property
    def good(self) -> bool:
        """A JSON object that does not call itself a failure."""
        return (
            _SUCCESS <= self.status < _REDIRECT
            and self.data is not None
            and self.data.get("success") is not False
        )


_SUCCESS, _REDIRECT, _SERVER_FAULT = 200, 300, 500


@dataclass(frozen=True)
class Verdict:
    """What a status means: the error, in which words, and what to do."""

    error: type[BridgeError]
    says: str
    remedy: str = ""


VERDICTS: Mapping[int, Verdict] = MappingProxyType(
    {
        400: Verdict(Rejected, "MusicGPT does not take this request", LOOK_AT_INPUT),
        401: Verdict(NoKey, "MusicGPT does not take this key", LOG_IN),
        402: Verdict(NoCredit, "the account at MusicGPT has not enough credit", ADD_CREDIT),
        403: Verdict(Rejected, "this plan or key may not do that at MusicGPT", ASK_PROVIDER),
        404: Verdict(Rejected, "MusicGPT does not know what was asked for", CHECK_ADDRESS),
        407: Verdict(NotSent, "the proxy of this network wants a log-in", LOG_INTO_NETWORK),
        408: Verdict(NotSent, "MusicGPT did not get the whole request in time", "It is sent again."),
        409: Verdict(Rejected, "MusicGPT says that this clashes with something", ASK_PROVIDER),
        413: Verdict(Rejected, "the file is too large for MusicGPT", "Bounce a shorter part, or as FLAC."),
        422: Verdict(Rejected, "MusicGPT cannot use these values or this file", LOOK_AT_INPUT),
        424: Verdict(
            Rejected, "MusicGPT could not get at the file", "Does its address work without a log-in?"
        ),
        425: Verdict(TryLater, "MusicGPT wants this later"),
        429: Verdict(TryLater, "MusicGPT is asked too often, or is busy with as much as the plan allows"),
        511: Verdict(NotSent, "this network wants a log-in first", LOG_INTO_NETWORK),
    }
)

STATUS_OF_CODE: Mapping[str, int] = MappingProxyType(
    {
        "BAD_REQUEST": 400,
        "UNAUTHORIZED_ACCESS": 401,
        "INSUFFICIENT_CREDITS": 402,
        "FORBIDDEN": 403,
        "RESOURCE_NOT_FOUND": 404,
        "UNPROCESSABLE_CONTENT": 422,
        "FAILED_DEPENDENCY": 424,
        "TOO_MANY_REQUESTS": 429,
        "INTERNAL_SERVER_ERROR": 500,
        "SERVICE_UNAVAILABLE": 503,
    }
)
"""The API's own words for statuses, which may come with a 200."""


def refusal(answer: Answer, *, charges: bool, whole: bool, wait_s: float) -> BridgeError:
    """The error that an answer without a result means.

    `whole`: the request was sent to its end. `wait_s`: how long to stay away where the answer says to wait.
    """
    status = meaning(answer)
    words = server_words(answer.data)
    if status in VERDICTS:
        return _judged(VERDICTS[status], status, words, wait_s)
    if status >= _SERVER_FAULT:
        what = f"MusicGPT has a fault ({status}){_said(words)}"
        return _fault(what, charges=charges, whole=whole, wait_s=wait_s)
    if status >= _CLIENT_FAULT:
        return Rejected(f"MusicGPT refuses this ({status}){_said(words)}.", remedy=ASK_PROVIDER)
    if status >= _REDIRECT:
        where = answer.location or "nowhere"
        return Rejected(
            f"MusicGPT points somewhere else ({status} to {where}); neither key nor audio was sent there.",
            remedy=CHECK_ADDRESS,
        )
    if answer.data is not None and answer.data.get("success") is False:
        return Rejected(f"MusicGPT refuses this{_said(words)}.", remedy=LOOK_AT_INPUT)
    return _unreadable(answer, charges=charges, wait_s=wait_s)


_CLIENT_FAULT = 400


def meaning(answer: Answer) -> int:
    """The status of an answer; of a failure within a 200, what its own word says."""
    data = answer.data or {}
    told = STATUS_OF_CODE.get(str(data.get("error_code")), answer.status)
    failed_within = _SUCCESS <= answer.status < _REDIRECT and data.get("success") is False
    return told if failed_within else answer.status


def _judged(verdict: Verdict, status: int, words: str, wait_s: float) -> BridgeError:
    message = f"{verdict.says} ({status}){_said(words)}."
    if issubclass(verdict.error, TryLater):
        return verdict.error(message, wait_s=wait_s, remedy="It is tried again by itself.")
    return verdict.error(message, remedy=verdict.remedy)


def _fault(what: str, *, charges: bool, whole: bool, wait_s: float) -> BridgeError:
    if not charges:
        return TryLater(f"{what}.", wait_s=wait_s, remedy="It is asked again by itself.")
    if not whole:
        return NotSent(f"{what} before everything was sent.", remedy="It is sent again.")
    return OutcomeUnknown(f"{what}; nobody knows whether it was accepted.", remedy=RESOLVE)


def _unreadable(answer: Answer, *, charges: bool, wait_s: float) -> BridgeError:
    if "html" in answer.kind:
        what, remedy = "something else answered instead of MusicGPT: a web page", LOG_INTO_NETWORK
    else:
        what, remedy = (
            "the answer is none that MusicGPT is known to give",
            CHECK_ADDRESS,
        )
    if not charges:
        return TryLater(f"{what}.", wait_s=wait_s, remedy=remedy)
    return OutcomeUnknown(
        f"{what}; nobody knows whether the request was accepted.", remedy=f"{remedy} {RESOLVE}"
    )


def _said(words: str) -> str:
    return f": {words}" if words else ""


MAX_WORDS = 300


def server_words(data: Mapping[str, Any] | None) -> str:
    """What the API says about an error, in both forms of its bodies; on one line, and not without end."""
    for key in ("message", "error", "detail", "reason"):
        value = (data or {}).get(key)
        if isinstance(value, Mapping):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            plain = "".join(sign if sign.isprintable() else " " for sign in value)
            return " ".join(plain.split())[:MAX_WORDS].rstrip(".")
    return ""
