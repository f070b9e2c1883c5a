"""Fetches what an `audio_url` names, from servers on this machine only."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from bridge.server.compatible.answering import Upload
from bridge.server.compatible.bodies import MOST_UPLOADED_BYTES, keep
from bridge.server.compatible.callbacks import is_of_this_machine
from bridge.server.compatible.links import Links
from bridge.server.compatible.refusals import Refusal

TIMEOUT_S = 10.0
NOT_FOUND = "The file could not be downloaded from the provided URL"


def fetch(address: str, folder: Path, links: Links) -> Upload:
    """The file at `address`: a link of our own, or another server of this machine.

    Raises Refusal 400 for any other address, and for one that gives nothing.
    """
    try:
        own = links.behind(address)
    except (Refusal, ValueError):
        raise Refusal(400, NOT_FOUND) from None
    if own is not None:
        with own.open("rb") as file:
            return keep(file, own.name, folder)
    if not is_of_this_machine(address):
        raise Refusal(400, f"{NOT_FOUND}: only addresses of this machine are fetched here")
    try:
        return _download(address, folder)
    except (requests.RequestException, HTTPError, OSError) as error:
        raise Refusal(400, NOT_FOUND) from error


def _download(address: str, folder: Path) -> Upload:
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands before this machine
        with session.get(address, stream=True, timeout=TIMEOUT_S, allow_redirects=False) as answer:
            if answer.status_code != requests.codes.ok:
                raise Refusal(400, NOT_FOUND)
            name = urlsplit(address).path.rsplit("/", 1)[-1]
            answer.raw.decode_content = True
            upload = keep(cast("BinaryIO", answer.raw), name, folder, most_bytes=MOST_UPLOADED_BYTES)
    if not upload.size:
        raise Refusal(400, NOT_FOUND)
    return upload
