"""The MusicGPT client and the rehearsal server together: every conversion, and faults of a whole server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from bridge.conversions.catalogue import CATALOGUE
from bridge.converters.base import Artifact, ConversionRequest, Ticket
from bridge.converters.fitting import EngineFitter
from bridge.converters.musicgpt import MusicGPTConverter
from bridge.engine.worker import Worker
from bridge.errors import BridgeError, ChargedFailure, NoKey, NotSent, OutcomeUnknown, Rejected, TryLater
from bridge.jobs.model import Fingerprint
from support.musicgpt import a_request, client
from support.polling import eventually
from support.rehearsal import Rehearsal, rehearsing

ROWS = sorted(name for name, row in CATALOGUE.items() if "musicgpt" in row.quality)

GIVEN: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "file_convert": {"target_format": "mp3"},
        "audio_cutter": {"start_time": 100, "end_time": 900},
        "audio_speed_changer": {"speed_change_factor": 2.0},
        "Extraction": {"stems": ["vocals", "drums"]},
        "VoiceChanger": {"voice_id": "v"},
        "Cover": {"voice_id": "v"},
        "MusicAI": {"prompt": "a loop", "generate_album_cover": True, "lyrics_timestamps": True},
        "Remix": {"prompt": "as a waltz"},
        "extend": {"extend_after": 1.0, "prompt": "on"},
        "inpaint": {"prompt": "x", "replace_start_at": 0.2, "replace_end_at": 0.9},
        "sing_over_instrumental": {"prompt": "x", "lyrics": "la"},
        "sing_over_vocal": {"lyrics": "la"},
        "image_generator": {"prompt": "a cat"},
        "sound_generator": {"prompt": "rain", "audio_length": 5},
        "TextToSpeech": {"text": "hello", "voice_id": "v"},
        "prompt_to_lyrics": {"prompt": "rain"},
    }
)
"""What must be given beside the source."""


@dataclass
class Stage:
    converter: MusicGPTConverter
    server: Rehearsal

    def run(self, request: ConversionRequest, folder: Path) -> list[Artifact]:
        """As the runner does: until the results are there."""
        ticket = self.converter.submit(request)
        return self.finish(ticket, request, folder)

    def finish(self, ticket: Ticket, request: ConversionRequest, folder: Path) -> list[Artifact]:
        folder.mkdir(exist_ok=True)

        def look() -> list[Artifact] | None:
            try:
                progress = self.converter.poll(ticket)
                if progress.error:
                    raise progress.error
                done = progress.state == "done"
                return self.converter.fetch(ticket, folder, request) if done else None
            except TryLater:
                return None

        return eventually(look, what=f"the results of {ticket}")


@pytest.fixture
def stage(tmp_path: Path, models_folder: Path, shared_engine: Worker) -> Iterator[Stage]:
    with rehearsing(models_folder) as server:
        converter = client(
            server.address,
            tmp_path / "spool",
            key=lambda: server.key,
            fitter=EngineFitter(shared_engine),
            timeouts=(30.0, 30.0, 30.0),
            plan="pro",
        )
        yield Stage(converter, server)
        converter.close()


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., ConversionRequest]:
    def make(name: str = "denoise", **parameters: Any) -> ConversionRequest:
        if name == "audio_mastering":
            other = a_request(tmp_path, seconds=1.5)
            parameters = {"reference_audio_file": str(other.source)}
        request = a_request(tmp_path, name, seconds=1.5, **{**GIVEN.get(name, {}), **parameters})
        if name == "image_to_song":
            picture = tmp_path / "cover.png"
            picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
            request = replace(request, source=picture, fingerprint=Fingerprint.of(picture))
        return request

    return make


@pytest.mark.slow
def test_every_conversion_comes_back_as_the_table_says(
    stage: Stage, request_for: Callable[..., ConversionRequest], tmp_path: Path
) -> None:
    for name in ROWS:
        row, request = CATALOGUE[name], request_for(name)
        folder = tmp_path / f"results of {name}"
        artifacts = stage.run(request, folder)
        asked = {result.role: result for result in row.returns(request.parameters)}
        got = {artifact.role: artifact for artifact in artifacts}
        assert set(got) <= set(asked), name
        assert name == "Extraction" or row.results[0].role in got, name
        for role, artifact in got.items():
            assert artifact.path.parent == folder
            assert artifact.path.stat().st_size > 0
            if asked[role].suffix and role != "midi":  # that one becomes a .mid when it is delivered
                assert artifact.path.suffix == f".{asked[role].suffix}", f"{name}: {role}"
    accepted = [one["conversion"] for one in stage.server.accepted()]
    assert sorted(accepted) == ROWS, "each exactly once"


# A request that goes wrong: what is left in the server's book


@pytest.mark.parametrize(
    ("fault", "error", "tasks"),
    [
        pytest.param("lost_answer", OutcomeUnknown, 1, marks=pytest.mark.slow),
        pytest.param("lost_answer status=502", OutcomeUnknown, 1, marks=pytest.mark.slow),
        ("503", OutcomeUnknown, 0),
        ("500", OutcomeUnknown, 0),
        ("429 retry_after=7", TryLater, 0),
        ("429", TryLater, 0),
        ("401", NoKey, 0),
        ("422", Rejected, 0),
        ("redirect", Rejected, 0),
        ("html", OutcomeUnknown, 0),
        ("reset after_bytes=100000", NotSent, 0),
    ],
)
def test_a_request_is_sent_once_whatever_happens(
    stage: Stage,
    request_for: Callable[..., ConversionRequest],
    tmp_path: Path,
    fault: str,
    error: type[BridgeError],
    tasks: int,
) -> None:
    big = a_request(tmp_path, seconds=30.0)
    stage.server.fault(fault)
    with pytest.raises(error):
        stage.converter.submit(big)
    assert len(stage.server.accepted()) == tasks
    if tasks:  # the musician finds it there, and it is taken up
        ticket = stage.converter.adopt("audio_to_midi", stage.server.accepted()[0]["task_id"])
        artifacts = stage.finish(ticket, big, tmp_path / "out")
        assert "midi" in {one.role for one in artifacts}
        assert len(stage.server.accepted()) == 1


@pytest.mark.parametrize(
    "faults",
    [
        ["truncated"],
        ["expired"],
        *(
            pytest.param(faults, marks=pytest.mark.slow)
            for faults in (
                ["truncated after_bytes=10", "truncated"],
                ["503 route=/v1/byId times=2"],
                ["html route=/v1/byId"],
                ["redirect route=/v1/byId"],
                ["401 route=/v1/byId"],
                ["429 route=/v1/byId retry_after=1"],
                ["503 route=/cdn/*"],
                ["html route=/cdn/*"],
                ["slow seconds=0.2 route=/v1/byId"],
            )
        ),
    ],
    ids=str,
)
def test_what_was_paid_for_comes_whatever_happens_on_the_way(
    stage: Stage, request_for: Callable[..., ConversionRequest], tmp_path: Path, faults: list[str]
) -> None:
    request = request_for("denoise")
    ticket = stage.converter.submit(request)
    stage.server.fault(*faults)
    artifacts = stage.finish(ticket, request, tmp_path / "out")
    assert {one.role for one in artifacts} == {"clean", "removed"}
    assert len(stage.server.accepted()) == 1


def test_a_failure_there_is_told_with_its_reason(
    stage: Stage, request_for: Callable[..., ConversionRequest], tmp_path: Path
) -> None:
    stage.server.fault({"kind": "failed", "reason": "Too quiet"})
    with pytest.raises(ChargedFailure, match="Too quiet"):
        stage.run(request_for("denoise"), tmp_path / "out")


def test_voices_are_there(stage: Stage) -> None:
    everybody = stage.converter.voices()
    assert everybody.voices
    name = everybody.voices[0].name
    assert name in [voice.name for voice in stage.converter.voices(name).voices]
