"""Uploads that are reserved first: a form to send the file by, and a handle to name it with afterwards."""

from __future__ import annotations

import base64
import binascii
import threading
import uuid
from dataclasses import dataclass
from typing import Any

from bridge.clock import Clock
from bridge.server.compatible.answering import Upload
from bridge.server.compatible.refusals import Refusal

FORM_LIFE_S = 900.0
HANDLE_LIFE_S = 86_400.0
MOST_AUDIO_BYTES = 80 * 1024 * 1024
ZIP = "application/zip"
FIELDS = ("key", "policy", "signature")


@dataclass
class _Place:
    content_type: str
    size: int
    sha256: str
    policy: str
    ends_at: float
    upload: Upload | None = None
    is_complete: bool = False


class Storage:
    """All methods may be called from any thread. All raise Refusal for what cannot be."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}

    def reserve(self, content_type: str, size: int, sha256: str, base: str) -> dict[str, Any]:
        """A place for `size` bytes; `sha256` is pinned when it is given."""
        if content_type != ZIP and size > MOST_AUDIO_BYTES:
            raise Refusal(400, f"Audio may have at most {MOST_AUDIO_BYTES >> 20} MB.")
        upload_id, policy = f"upl_{uuid.uuid4().hex}", uuid.uuid4().hex
        ends_at = self._clock.monotonic() + FORM_LIFE_S
        with self._lock:
            self._places[upload_id] = _Place(content_type, size, _as_hex(sha256), policy, ends_at)
        return {
            "success": True,
            "message": "Upload prepared",
            "upload_id": upload_id,
            "upload_url": f"{base.rstrip('/')}/storage",
            "fields": {
                "key": f"uploads/{upload_id}",
                "Content-Type": content_type,
                "policy": policy,
                "signature": uuid.uuid5(uuid.UUID(policy), upload_id).hex,
            },
            "expires_in_seconds": int(FORM_LIFE_S),
        }

    def put(self, fields: dict[str, Any], upload: Upload | None) -> None:
        """The form, as the storage's own server takes it."""
        place = self._places.get(str(fields.get("key", "")).removeprefix("uploads/"))
        if place is None or place.policy != fields.get("policy"):
            raise Refusal(403, "Invalid according to Policy")
        if place.ends_at <= self._clock.monotonic():
            raise Refusal(403, "Policy expired")
        if set(fields) - {*FIELDS, "Content-Type"}:
            raise Refusal(403, "Extra input fields")
        if upload is None or upload.size != place.size:
            raise Refusal(400, "The size is not the one that was reserved")
        place.upload = upload

    def complete(self, upload_id: str) -> dict[str, Any]:
        """Looks whether the file has come whole. May be repeated."""
        place = self._place(upload_id)
        if place.upload is None:
            raise Refusal(424, "The file has not been uploaded yet.")
        if place.sha256 and place.sha256 != place.upload.sha256:
            raise Refusal(422, "The file is not the one that was reserved: its SHA-256 differs.")
        if not place.is_complete:
            place.is_complete = True
            place.ends_at = self._clock.monotonic() + HANDLE_LIFE_S
        return {
            "success": True,
            "message": "Upload ready",
            "upload_id": upload_id,
            "expires_in_seconds": int(HANDLE_LIFE_S),
        }

    def prepared(self, upload_id: str) -> dict[str, Any]:
        """The same, and that nothing needs to be prepared."""
        done = self.complete(upload_id)
        return {**done, "message": "Ready", "status": "completed", "phase": "ready", "lyrics": ""}

    def taken(self, upload_id: str) -> Upload:
        """The file behind a handle."""
        place = self._place(upload_id)
        if place.upload is None or not place.is_complete:
            raise Refusal(422, "The upload is not complete.")
        return place.upload

    def _place(self, upload_id: str) -> _Place:
        place = self._places.get(upload_id)
        if place is None or place.ends_at <= self._clock.monotonic():
            raise Refusal(404, "There is no such upload.")
        return place


def _as_hex(digest: str) -> str:
    """A SHA-256 in hexadecimal, also where it came in base64; empty where none came."""
    text = digest.strip()
    if not text:
        return ""
    try:
        raw = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)  # noqa: PLR2004  hexadecimal
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:  # noqa: PLR2004  a SHA-256
        raise Refusal(422, "Validation failed. sha256: must be hexadecimal or base64")
    return raw.hex()
