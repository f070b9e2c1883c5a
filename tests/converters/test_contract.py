"""What every converter keeps to: one suite for the fake, the local engine and the MusicGPT client.

The engine is a real process with a real model; the client speaks with the rehearsal server over real sockets.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.conversions.catalogue import conversion
from bridge.converters.base import Artifact, ConversionRequest, Converter, Progress, Ticket
from bridge.converters.fitting import EngineFitter
from bridge.converters.local import LocalConverter
from bridge.engine.models import ModelStore
from bridge.engine.worker import Worker, WorkerOptions
from bridge.errors import AudioError, Cancelled, ChargedFailure, Rejected, TicketLost, TryLater
from bridge.jobs.model import Fingerprint
from bridge.testing import FakeConverter
from support.musicgpt import client
from support.polling import eventually
from support.rehearsal import rehearsing
from support.tones import write_tone


@dataclass
class Trial:
    """A converter, and how to get it to do what the contract speaks of."""

    converter: Converter
    fail_next: Callable[[ConversionRequest], ConversionRequest]
    """Gives a request that will be accepted and then fail."""


@pytest.fixture(params=["fake", "local", pytest.param("musicgpt", marks=pytest.mark.slow)])
def trial(
    request: pytest.FixtureRequest, tmp_path: Path, models_folder: Path, shared_engine: Worker
) -> Iterator[Trial]:
    if request.param == "fake":
        fake = FakeConverter()

        def fail(good: ConversionRequest) -> ConversionRequest:
            fake.outcomes.append(Rejected("no."))
            return good

        yield Trial(fake, fail)
        return
    if request.param == "musicgpt":
        with rehearsing(models_folder) as server:
            remote = client(
                server.address,
                tmp_path / "spool",
                key=lambda: server.key,
                fitter=EngineFitter(shared_engine),
                timeouts=(30.0, 30.0, 30.0),
                plan="pro",
            )

            def fail_there(good: ConversionRequest) -> ConversionRequest:
                server.fault("failed")
                return good

            yield Trial(remote, fail_there)
            remote.close()
        return
    local = LocalConverter(shared_engine, ModelStore(models_folder), tmp_path / "scratch", tmp_path / "heard")

    def break_file(good: ConversionRequest) -> ConversionRequest:
        text = tmp_path / "text.wav"
        text.write_text("I am no audio")
        return ConversionRequest(good.conversion, good.parameters, text, "broken")

    yield Trial(local, break_file)


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., ConversionRequest]:
    def make(name: str = "a", *, seconds: float = 1.0, **parameters: Any) -> ConversionRequest:
        path = tmp_path / f"{name}.wav"
        write_tone(path, seconds=seconds)
        values = conversion("audio_to_midi").resolve(parameters, converter="local")
        return ConversionRequest(
            "audio_to_midi", values, path, f"key-{name}", Fingerprint.of(path), duration_s=seconds
        )

    return make


def _ended(converter: Converter, ticket: Ticket) -> Progress:
    def look() -> Progress | None:
        progress = converter.poll(ticket)
        return progress if progress.state != "running" else None

    return eventually(look, what="the ticket to end")


def _fetched(
    converter: Converter, ticket: Ticket, folder: Path, request: ConversionRequest
) -> list[Artifact]:
    """As the runner does: what shall come later is asked for later."""

    def fetch() -> list[Artifact] | None:
        try:
            return converter.fetch(ticket, folder, request)
        except TryLater:
            return None

    return eventually(fetch, what="the results")


def test_it_says_what_it_can_do_and_what_its_results_depend_on(
    trial: Trial, request_for: Callable[..., ConversionRequest]
) -> None:
    assert trial.converter.capabilities()["audio_to_midi"].available
    assert trial.converter.fingerprint("audio_to_midi")
    assert trial.converter.fingerprint("audio_to_midi") == trial.converter.fingerprint("audio_to_midi")
    assert all(lane.places >= 1 for lane in trial.converter.lanes())
    request = request_for()
    assert trial.converter.quote("audio_to_midi", request.parameters, 60.0).usd is not None


def test_a_request_becomes_a_ticket_becomes_artifacts(
    trial: Trial, request_for: Callable[..., ConversionRequest], tmp_path: Path
) -> None:
    request = request_for()
    ticket = trial.converter.submit(request)
    progress = _ended(trial.converter, ticket)
    assert (progress.state, progress.fraction) == ("done", 1.0)
    folder = tmp_path / "results"
    folder.mkdir()
    artifacts = _fetched(trial.converter, ticket, folder, request)
    assert "midi" in [artifact.role for artifact in artifacts]
    roles = conversion("audio_to_midi").roles()
    for artifact in artifacts:
        assert artifact.role in roles
        assert artifact.path.parent == folder
        assert artifact.path.stat().st_size > 0
        assert "/" in artifact.media_type


def test_results_can_be_fetched_again(
    trial: Trial, request_for: Callable[..., ConversionRequest], tmp_path: Path
) -> None:
    request = request_for()
    ticket = trial.converter.submit(request)
    _ended(trial.converter, ticket)
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        artifacts = _fetched(trial.converter, ticket, tmp_path / name, request)
        contents.append([artifact.path.read_bytes() for artifact in artifacts])
    assert contents[0] == contents[1]


def test_a_change_is_told_to_whoever_watches(
    trial: Trial, request_for: Callable[..., ConversionRequest]
) -> None:
    told: list[Ticket] = []
    heard = threading.Event()

    def listen(ticket: Ticket) -> None:
        told.append(ticket)
        heard.set()

    trial.converter.watch(listen)
    ticket = trial.converter.submit(request_for())
    _ended(trial.converter, ticket)
    assert heard.wait(30)
    assert set(told) == {ticket}


def test_an_accepted_request_that_fails_says_why(
    trial: Trial, request_for: Callable[..., ConversionRequest]
) -> None:
    ticket = trial.converter.submit(trial.fail_next(request_for()))
    progress = _ended(trial.converter, ticket)
    assert progress.state == "failed"
    assert isinstance(progress.error, (Rejected, AudioError, ChargedFailure))
    assert progress.error.message


def test_a_ticket_nobody_knows_is_lost(
    trial: Trial, request_for: Callable[..., ConversionRequest], tmp_path: Path
) -> None:
    with pytest.raises(TicketLost):
        trial.converter.poll(Ticket("of an earlier life"))
    with pytest.raises(TicketLost):
        trial.converter.fetch(Ticket("of an earlier life"), tmp_path, request_for())


def test_a_ticket_survives_being_written_down(
    trial: Trial, request_for: Callable[..., ConversionRequest]
) -> None:
    ticket = trial.converter.submit(request_for())
    assert trial.converter.adopt("audio_to_midi", str(ticket)) == ticket
    trial.converter.wake(ticket)
    assert _ended(trial.converter, Ticket(str(ticket))).state == "done"


def test_cancelling_what_is_over_or_unknown_does_nothing(
    trial: Trial, request_for: Callable[..., ConversionRequest]
) -> None:
    trial.converter.cancel(Ticket("of an earlier life"))
    ticket = trial.converter.submit(request_for())
    _ended(trial.converter, ticket)
    trial.converter.cancel(ticket)


@pytest.mark.slow
def test_a_cancelled_ticket_never_comes_to_an_end_well(
    request_for: Callable[..., ConversionRequest], tmp_path: Path, models_folder: Path
) -> None:
    fake = FakeConverter(hold=True)
    ticket = fake.submit(request_for())
    fake.cancel(ticket)
    assert isinstance(fake.poll(ticket).error, Cancelled)
    worker = Worker("contract", WorkerOptions())
    local = LocalConverter(worker, ModelStore(models_folder), tmp_path / "scratch", tmp_path / "heard")
    ticket = local.submit(request_for("long", seconds=120.0))
    local.cancel(ticket)
    with pytest.raises(TicketLost):
        local.poll(ticket)
    # The engine is free again at once.
    assert _ended(local, local.submit(request_for("short"))).state == "done"
    worker.stop()


# What only the local converter does


@pytest.fixture
def local(tmp_path: Path, models_folder: Path) -> Iterator[LocalConverter]:
    worker = Worker("local", WorkerOptions(log_file=tmp_path / "engine.log"))
    yield LocalConverter(worker, ModelStore(models_folder), tmp_path / "scratch", tmp_path / "heard")
    worker.stop()


def test_work_on_suspicion_is_the_same_work_as_the_jobs_own(
    local: LocalConverter, request_for: Callable[..., ConversionRequest]
) -> None:
    request = request_for()
    assert local.speculate(request) == local.submit(request)
    ticket = local.submit(request)
    local.withdraw(ticket)
    assert _ended(local, ticket).state == "done", "somebody had asked for it: it is not withdrawn"


def test_unclaimed_work_is_withdrawn(
    local: LocalConverter, request_for: Callable[..., ConversionRequest]
) -> None:
    ticket = local.speculate(request_for(seconds=60.0))
    local.withdraw(ticket)
    with pytest.raises(TicketLost):
        local.poll(ticket)


def test_a_bounce_that_changes_while_it_is_read_is_no_result(
    local: LocalConverter, request_for: Callable[..., ConversionRequest]
) -> None:
    request = request_for()
    with request.source.open("ab") as file:
        file.write(b"more")
    error = _ended(local, local.submit(request)).error
    assert isinstance(error, AudioError)
    assert "written to again" in error.message


def test_a_missing_model_is_a_state_with_its_remedy(tmp_path: Path) -> None:
    worker = Worker("local", WorkerOptions())
    local = LocalConverter(
        worker, ModelStore(tmp_path / "no models"), tmp_path / "scratch", tmp_path / "heard"
    )
    capability = local.capabilities()["audio_to_midi"]
    assert not capability.available
    assert "bridge models pull" in capability.why_not
    local.warm()
    assert not worker.alive(), "warming without models is no crash"
    worker.stop()


def test_a_look_tells_what_is_in_a_file(local: LocalConverter, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_tone(path, seconds=0.5)
    source = local.probe(path, Fingerprint.of(path), tmp_path).result(30)
    assert source.duration_s == pytest.approx(0.5)
    assert source.fingerprint == Fingerprint.of(path)
    (tmp_path / "b.wav").write_text("text")
    with pytest.raises(AudioError, match=r"b\.wav"):
        local.probe(tmp_path / "b.wav", Fingerprint.of(tmp_path / "b.wav"), tmp_path).result(30)


@pytest.mark.slow
def test_a_copy_that_changes_takes_nothing_from_the_job_of_another_file(
    local: LocalConverter, request_for: Callable[..., ConversionRequest], tmp_path: Path
) -> None:
    # The same audio at two places is one ticket, but it may be read from either.
    mine = request_for("mine", seconds=20.0)
    other = tmp_path / "other.wav"
    shutil.copy(mine.source, other)
    local.speculate(replace(mine, source=other, fingerprint=Fingerprint.of(other)))
    ticket = local.submit(mine)
    other.write_bytes(b"written to again")
    assert _ended(local, ticket).state == "done"


@pytest.mark.slow
def test_a_result_that_was_cleared_away_is_lost_and_made_again(
    local: LocalConverter, request_for: Callable[..., ConversionRequest], tmp_path: Path
) -> None:
    request = request_for()
    ticket = local.submit(request)
    _ended(local, ticket)
    shutil.rmtree(tmp_path / "scratch")
    with pytest.raises(TicketLost):
        local.fetch(ticket, tmp_path, request)
    assert _ended(local, local.submit(request)).state == "done"
    assert local.fetch(ticket, tmp_path, request)


def test_an_engine_without_room_to_work_is_asked_again_later(
    local: LocalConverter, request_for: Callable[..., ConversionRequest], tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "scratch")
    (tmp_path / "scratch").write_text("a file in its place")
    with pytest.raises(TryLater):
        local.submit(request_for())


def test_what_an_engine_that_still_ends_leaves_behind_is_no_trouble(
    models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch" / "in use").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # as where a file is still being written
    LocalConverter(
        Worker("unused", WorkerOptions()), ModelStore(models_folder), tmp_path / "scratch", tmp_path / "heard"
    )
