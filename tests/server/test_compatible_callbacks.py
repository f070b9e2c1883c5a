"""The compatible server's callbacks, to a real receiver on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.polling import eventually
from support.rehearsal import rehearsing


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; the first `refusals` callbacks are answered by 500."""

    daemon_threads = True

    def __init__(self, refusals: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.refusals = refusals

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        refused = self.server.refusals > 0
        if refused:
            self.server.refusals -= 1
        else:
            self.server.bodies.append(body)
        self.send_response(500 if refused else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its own name for it
        """Nobody reads it."""


@contextmanager
def receiving(refusals: int = 0) -> Iterator[Receiver]:
    receiver = Receiver(refusals)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def came(receiver: Receiver, count: int) -> list[dict[str, Any]]:
    eventually(lambda: len(receiver.bodies) >= count, what=f"{count} callbacks")
    return receiver.bodies


def test_one_result_one_callback_with_the_keys_of_its_type(models_folder: Path) -> None:
    with receiving() as receiver, rehearsing(models_folder) as server:
        said = server.post("/v1/sound_generator", data={"prompt": "x", "webhook_url": receiver.url}).json()
        (body,) = came(receiver, 1)
        assert (body["success"], body["conversion_type"]) == (True, "Sound Creator")
        assert (body["task_id"], body["conversion_id"]) == (said["task_id"], said["conversion_id"])
        assert body["conversion_path"].endswith(".mp3")
        assert body["conversion_duration"] == 5.0
        eventually(lambda: server.ledger()["callbacks"])
        assert server.ledger()["callbacks"][0]["outcome"] == "200"


@pytest.mark.slow
def test_two_variants_two_callbacks_and_one_each_for_words_and_cover(models_folder: Path) -> None:
    with receiving() as receiver, rehearsing(models_folder) as server:
        fields = {"prompt": "x", "lyrics_timestamps": True, "generate_album_cover": True}
        said = server.post("/v2/MusicAI", json={**fields, "webhook_url": receiver.url}).json()
        bodies = came(receiver, 5)
        kinds = ["music_ai", "lyrics_timestamped", "music_ai", "lyrics_timestamped", "album_cover_generation"]
        assert [body["subtype"] for body in bodies] == kinds
        assert [body["conversion_id"] for body in bodies[:4]] == [
            said["conversion_id_1"], said["conversion_id_1"], said["conversion_id_2"], said["conversion_id_2"]
        ]  # fmt: skip
        take = bodies[0]
        assert take["conversion_path"].endswith(".mp3")
        assert take["conversion_path_wav"].endswith(".wav")
        assert json.loads(take["lyrics_timestamped"])[0]["index"] == 0
        assert bodies[4]["image_path"].endswith(".png")


def test_a_failure_is_called_back_too(models_folder: Path) -> None:
    with receiving() as receiver, rehearsing(models_folder) as server:
        server.fault({"kind": "failed", "reason": "Too quiet."})
        server.post("/v1/sound_generator", data={"prompt": "x", "webhook_url": receiver.url})
        (body,) = came(receiver, 1)
        assert (body["success"], body["reason"]) == (False, "Too quiet.")


def test_a_callback_that_is_refused_is_tried_again(models_folder: Path) -> None:
    with receiving(refusals=1) as receiver, rehearsing(models_folder) as server:
        server.post("/v1/sound_generator", data={"prompt": "x", "webhook_url": receiver.url})
        came(receiver, 1)
        eventually(lambda: len(server.ledger()["callbacks"]) == 2)
        assert [one["outcome"] for one in server.ledger()["callbacks"]] == ["500", "200"]


def test_callbacks_come_twice_where_that_is_asked_for(models_folder: Path) -> None:
    with receiving() as receiver, rehearsing(models_folder) as server:
        server.fault("twice")
        server.post("/v1/sound_generator", data={"prompt": "x", "webhook_url": receiver.url})
        first, second = came(receiver, 2)
        assert first == second


@pytest.mark.slow
def test_nobody_outside_this_machine_is_called(models_folder: Path) -> None:
    with rehearsing(models_folder) as server:
        hook = "https://example.com/hook"
        server.post("/v1/sound_generator", data={"prompt": "x", "webhook_url": hook})
        (told,) = eventually(lambda: server.ledger()["callbacks"])
        assert told["outcome"].startswith("not sent")
