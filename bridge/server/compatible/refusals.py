"""What the compatible server answers instead of a result: statuses, codes, bodies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bridge.errors import AudioError, BridgeError, ModelError, NoCredit, NoKey, NotAllowed, Rejected, TryLater

CODES: Mapping[int, str] = MappingProxyType(
    {
        400: "BAD_REQUEST",
        401: "UNAUTHORIZED_ACCESS",
        402: "INSUFFICIENT_CREDITS",
        403: "FORBIDDEN",
        404: "RESOURCE_NOT_FOUND",
        422: "UNPROCESSABLE_CONTENT",
        424: "FAILED_DEPENDENCY",
        429: "TOO_MANY_REQUESTS",
        500: "INTERNAL_SERVER_ERROR",
        503: "SERVICE_UNAVAILABLE",
    }
)

WORDS: Mapping[int, str] = MappingProxyType(
    {
        401: "Authentication failed",
        402: "Insufficient credits to process this request.",
        429: "Too many requests. Please try again later.",
        500: "Internal Server Error",
        502: "Bad Gateway",
        503: "The service is temporarily unavailable.",
    }
)

_STATUS_OF: tuple[tuple[type[BridgeError], int], ...] = (
    (AudioError, 422),
    (ModelError, 403),  # a 503 would leave open whether it was accepted
    (TryLater, 503),
    (NoKey, 401),
    (NoCredit, 402),
    (NotAllowed, 403),
    (Rejected, 403),
    (BridgeError, 424),
)
"""The first row that fits tells the HTTP status of an error of ours."""


class Refusal(Exception):
    """A request that is not accepted. `message` is what the client is told."""

    def __init__(self, status: int, message: str = "", *, retry_after: int | None = None) -> None:
        self.status = status
        self.message = message or WORDS.get(status, "")
        self.retry_after = retry_after
        super().__init__(self.message)

    @classmethod
    def of(cls, error: BridgeError) -> Refusal:
        """An error of ours in the form of the API, with its remedy."""
        status = next(status for kind, status in _STATUS_OF if isinstance(error, kind))
        return cls(status, str(BridgeError(error.message, remedy=error.remedy)))

    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def body(self, *, legacy: bool = False) -> dict[str, Any]:
        """`legacy` is the form up to September 2026."""
        if legacy:
            return {"success": False, "error": self.message}
        code = {"error_code": CODES[self.status]} if self.status in CODES else {}
        return {"success": False, **code, "message": self.message}
