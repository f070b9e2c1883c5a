from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.errors import WorkerDied, WorkerError
from bridge.jobs import intake
from bridge.jobs.cache import Entry
from bridge.jobs.exports import same_export
from bridge.jobs.intake import Intake
from bridge.jobs.model import DeliveryState, Fingerprint, JobRequest, JobState, PlannedDelivery
from bridge.jobs.records import JobDetail
from bridge.media.musical_context import Told
from bridge.media.musical_time import TempoMap
from bridge.media.notes import NOTES_MEDIA_TYPE
from bridge.presets import PresetShelf
from bridge.testing import FakeConverter, FakeEngine, ManualClock
from support.journals import Works, request_of, source_of
from support.polling import eventually

D = DeliveryState
PRESET = """
name = "test"
title = "Test"
[[steps]]
name = "notes"
conversion = "audio_to_midi"
converter = "local"
[[deliver]]
sidecar = false
"""


class Place:
    """An intake on a real journal, a watched folder, and an engine in memory; nothing converts by itself."""

    def __init__(self, folder: Path) -> None:
        (folder / "presets").mkdir()
        (folder / "presets" / "test.toml").write_text(PRESET, encoding="utf-8")
        self.watched = folder / "watched"
        self.watched.mkdir()
        self.works = Works(folder, ManualClock(), {"local": FakeConverter("local")})
        self.engine = FakeEngine()
        shelf = PresetShelf(folder / "presets")
        self.heard: Told | None = None
        self.overheard: list[tuple[float, float]] = []
        self.intake = Intake(self.works.journal, self.works.steps, shelf, self.engine, self._overhear)
        self.journal = self.works.journal
        self.intake.start()

    def _overhear(self, closed_at: float, duration_s: float) -> Told | None:
        self.overheard.append((closed_at, duration_s))
        return self.heard

    def close(self) -> None:
        self.intake.stop()
        self.journal.close()

    def bounce(self, name: str, data: str = "audio", *, closed_at: float = 0.0) -> JobRequest:
        path = self.watched / name
        path.write_text(data, encoding="utf-8")
        return self.request(path, closed_at=closed_at)

    def request(self, path: Path, *, closed_at: float = 0.0) -> JobRequest:
        return request_of(
            path, fingerprint=Fingerprint.of(path), watched_folder=self.watched, closed_at=closed_at
        )

    def job_of(self, request: JobRequest) -> JobDetail | None:
        job_id = self.intake.submit(request).result(30)
        return self.journal.detail(job_id) if job_id is not None else None

    def deliver(self, job: JobDetail, output: Path) -> None:
        """As if the job had been converted and delivered."""
        row = next(row for row in self.journal.detail(job.job.id).conversions if row.is_open)  # type: ignore[union-attr]
        self.journal.finish_conversion(
            row.id, row.state, [], lambda _: ([], [PlannedDelivery("artifact", {})])
        )
        delivery = self.journal.due_deliveries(1e12, 1)[0]
        output.write_text("midi")
        stat = output.stat()
        self.journal.move_delivery(
            delivery.id,
            D.PENDING,
            D.DONE,
            final_path=str(output),
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def test_a_bounce_becomes_a_job_with_what_is_in_it(place: Place) -> None:
    detail = place.job_of(place.bounce("a.wav"))
    assert detail is not None
    assert detail.job.state is JobState.QUEUED
    assert detail.parts[0].source is not None
    assert detail.parts[0].source.frames == 5
    assert place.journal.knows(place.watched / "a.wav", Fingerprint.of(place.watched / "a.wav"))


def test_what_a_clock_said_meanwhile_is_told_last(place: Place) -> None:
    place.heard = Told("clock of Live", tempo=TempoMap.constant(140))
    detail = place.job_of(place.bounce("a.wav", closed_at=77.0))
    assert detail is not None
    source = detail.parts[0].source
    assert source is not None
    assert source.told[-1]["source"] == "clock of Live"
    assert place.overheard == [(77.0, source.duration_s)]


def test_of_a_file_that_is_converted_by_hand_a_clock_knows_nothing(place: Place) -> None:
    place.heard = Told("clock of Live", tempo=TempoMap.constant(140))
    request = replace(place.bounce("a.wav"), watched_folder=None)
    detail = place.job_of(request)
    assert detail is not None
    assert detail.parts[0].source is not None
    assert (detail.parts[0].source.told, place.overheard) == ((), [])


def test_a_pad_takes_what_an_earlier_look_found(place: Place) -> None:
    request = place.bounce("a.wav")
    first = place.job_of(request)
    assert first is not None
    place.engine.failures.append(WorkerError("the engine is busy."))
    again = replace(request, watched_folder=None, as_known=True, preset="test")
    second = place.job_of(again)
    assert second is not None
    assert second.parts[0].source == first.parts[0].source

    # Another state of the file is looked at.
    place.engine.failures.clear()
    changed = replace(place.bounce("a.wav", "longer audio"), watched_folder=None, as_known=True)
    third = place.job_of(changed)
    assert third is not None
    assert third.parts[0].source is not None
    assert third.parts[0].source.frames == 12


def test_what_is_no_audio_becomes_a_failed_job_that_says_so(place: Place) -> None:
    detail = place.job_of(place.bounce("a.wav", "bad"))
    assert detail is not None
    assert detail.job.state is JobState.FAILED
    assert detail.parts[0].error is not None
    assert detail.parts[0].error["message"] == "this is no audio."


def test_the_same_audio_again_is_no_job_while_its_results_are_there(place: Place, tmp_path: Path) -> None:
    first = place.job_of(place.bounce("a.wav"))
    assert first is not None
    assert place.job_of(place.request(first.parts[0].path)) is None, "it is still under way"
    place.deliver(first, tmp_path / "a_midi.mid")
    again = place.bounce("a.wav")
    os.utime(again.source, ns=(5, 5))
    again = place.request(again.source)
    assert place.job_of(again) is None
    assert place.journal.knows(again.source, again.fingerprint), "the next scan leaves it alone"


def test_the_same_audio_is_delivered_again_when_its_result_is_gone(place: Place, tmp_path: Path) -> None:
    first = place.job_of(place.bounce("a.wav"))
    assert first is not None
    place.deliver(first, tmp_path / "a_midi.mid")
    (tmp_path / "a_midi.mid").unlink()
    second = place.job_of(place.bounce("a.wav"))
    assert second is not None
    assert second.job.id != first.job.id


def test_the_same_audio_written_while_it_is_converted_is_not_lost(place: Place) -> None:
    # The conversion under way reads a file that was written to again, and will be refused because of that.
    first = place.job_of(place.bounce("a.wav"))
    assert first is not None
    os.utime(first.parts[0].path, ns=(5, 5))
    second = place.job_of(place.request(first.parts[0].path))
    assert second is not None
    assert second.job.id != first.job.id


def test_what_goes_into_one_file_is_never_old_news(place: Place, tmp_path: Path) -> None:
    preset = PRESET.replace(
        "sidecar = false", 'from = "notes.midi"\ntogether = true\npattern = "{bounce}.{ext}"'
    )
    (tmp_path / "presets" / "test.toml").write_text(preset, encoding="utf-8")
    first = place.job_of(place.bounce("a.wav"))
    assert first is not None
    (row,) = first.conversions
    notes = Entry("midi", tmp_path / "notes.json", NOTES_MEDIA_TYPE, "1")
    place.journal.finish_conversion(row.id, row.state, [notes], lambda _: ([], []))
    (delivery,) = place.journal.due_deliveries(1e12, 9)
    assert delivery.kind == "together"
    place.journal.move_delivery(delivery.id, D.PENDING, D.DONE, final_path=str(place.watched / "a.wav"))
    assert place.job_of(place.bounce("a.wav")) is not None


def test_what_was_begun_for_old_news_is_given_up(place: Place, tmp_path: Path) -> None:
    first = place.job_of(place.bounce("a.wav"))
    assert first is not None
    place.deliver(first, tmp_path / "a_midi.mid")
    os.utime(first.parts[0].path, ns=(5, 5))
    again = place.request(first.parts[0].path)
    place.intake.speculate(again)
    [begun] = eventually(lambda: place.engine.speculated, what="work on suspicion")
    assert place.job_of(again) is None
    eventually(lambda: place.engine.withdrawn == [begun.key], what="the withdrawal")


def test_a_journal_that_cannot_be_written_loses_no_bounce(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "TRY_AGAIN_S", 0.05)
    pages = place.journal._one("PRAGMA page_count")
    assert pages is not None
    place.journal._one(f"PRAGMA max_page_count = {pages[0]}")
    for number in range(30):  # what room there is on the last pages is soon taken
        place.intake.accept(place.bounce(f"{number:02d} {'x' * 200}.wav", f"audio {number}"))
    path = place.bounce(f"{'x' * 200}.wav", "by hand").source
    with pytest.raises(sqlite3.OperationalError, match="full"):
        place.intake.submit(request_of(path, fingerprint=Fingerprint.of(path))).result(30)
    assert sum(place.journal.counts().values()) < 30
    place.journal._one("PRAGMA max_page_count = 1000000")
    eventually(lambda: sum(place.journal.counts().values()) == 30, what="a job for each bounce")


def test_other_audio_at_the_same_path_is_a_new_version(place: Place, tmp_path: Path) -> None:
    first = place.job_of(place.bounce("a.wav"))
    assert first is not None
    place.deliver(first, tmp_path / "a_midi.mid")
    second = place.job_of(place.bounce("a.wav", "another take"))
    assert second is not None
    assert second.job.id != first.job.id


def test_by_hand_it_is_always_a_job(place: Place, tmp_path: Path) -> None:
    first = place.job_of(place.bounce("a.wav"))
    assert first is not None
    place.deliver(first, tmp_path / "a_midi.mid")
    by_hand = request_of(place.watched / "a.wav", fingerprint=Fingerprint.of(place.watched / "a.wav"))
    assert place.job_of(by_hand) is not None


def test_the_tracks_of_one_export_are_parts_of_one_job(place: Place) -> None:
    drums = place.job_of(place.bounce("Song Drums.wav", "drums", closed_at=100.0))
    bass = place.job_of(place.bounce("Song Bass.wav", "basss", closed_at=102.0))
    other = place.job_of(place.bounce("Other.wav", "other", closed_at=102.5))
    late = place.job_of(place.bounce("Song Keys.wav", "keyss", closed_at=106.0))
    assert drums
    assert bass
    assert other
    assert late
    assert bass.job.id == drums.job.id
    assert [part.path.stem for part in bass.parts] == ["Song Drums", "Song Bass"]
    assert len({drums.job.id, other.job.id, late.job.id}) == 3


def test_files_of_different_days_are_no_export_in_whatever_order_they_are_found(place: Place) -> None:
    today = place.job_of(place.bounce("Song 2.wav", "today", closed_at=90_000.0))
    yesterday = place.job_of(place.bounce("Song 1.wav", "yest.", closed_at=100.0))
    assert today
    assert yesterday
    assert today.job.id != yesterday.job.id


def test_a_new_version_joins_no_export_that_has_the_file_already(place: Place) -> None:
    drums = place.job_of(place.bounce("Song Drums.wav", "drums", closed_at=100.0))
    bass = place.job_of(place.bounce("Song Bass.wav", "basss", closed_at=102.0))
    again = place.job_of(place.bounce("Song Drums.wav", "DRUMS", closed_at=104.0))
    assert drums
    assert bass
    assert again
    assert bass.job.id == drums.job.id
    assert again.job.id != drums.job.id


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("Song Drums.wav", "Song Bass.wav", True),
        ("Song-1.wav", "Song-2.wav", True),
        ("take_a.wav", "take_b.wav", True),
        ("Drums.wav", "Drops.wav", False),
        ("Song Drums.wav", "Song Drums.wav", False),
        ("Song Drums.wav", "Song Bass.aif", False),
        ("Song Drums.wav", "sub/Song Bass.wav", False),
    ],
)
def test_what_counts_as_one_export(tmp_path: Path, first: str, second: str, expected: bool) -> None:
    assert same_export(source_of(tmp_path / first), source_of(tmp_path / second)) is expected


def test_another_length_is_another_export(tmp_path: Path) -> None:
    one, two = tmp_path / "Song A.wav", tmp_path / "Song B.wav"
    assert not same_export(source_of(one, frames=100), source_of(two, frames=101))


def test_work_begins_before_the_bounce_is_settled_and_is_withdrawn_if_it_changes(place: Place) -> None:
    request = place.bounce("a.wav")
    place.intake.speculate(request)
    [begun] = eventually(lambda: place.engine.speculated, what="work on suspicion")
    place.intake.withdraw(request.source)
    eventually(lambda: place.engine.withdrawn == [begun.key], what="the withdrawal")
    assert place.journal.jobs() == []


def test_the_job_asks_for_just_what_was_begun_on_suspicion(place: Place) -> None:
    request = place.bounce("a.wav")
    place.intake.speculate(request)
    [begun] = eventually(lambda: place.engine.speculated, what="work on suspicion")
    detail = place.job_of(request)
    assert detail is not None
    place.works.runner.start()
    local = place.works.converters["local"]
    eventually(lambda: local.submitted, what="the job's own request")
    assert local.submitted[0].key == begun.key
    place.works.runner.stop()


def test_a_change_while_it_is_looked_at_begins_nothing(place: Place) -> None:
    request = place.bounce("a.wav", "hold")
    place.intake.speculate(request)
    eventually(lambda: place.engine._held, what="the look to begin")
    place.intake.withdraw(request.source)
    request.source.write_text("audio")
    settled = place.intake.submit(place.request(request.source))
    settled.result(30)
    place.engine.release()
    place.intake.submit(place.bounce("sentinel.wav", "x")).result(30)
    assert place.engine.speculated == []


def test_an_engine_that_dies_while_looking_is_asked_again(place: Place) -> None:
    place.engine.failures += [WorkerDied("ended."), WorkerDied("ended.")]
    detail = place.job_of(place.bounce("a.wav"))
    assert detail is not None
    assert detail.job.state is JobState.QUEUED


def test_a_file_that_kills_the_engine_each_time_fails_for_good(place: Place) -> None:
    place.engine.failures += [WorkerDied("ended.")] * 3
    detail = place.job_of(place.bounce("a.wav"))
    assert detail is not None
    assert detail.job.state is JobState.FAILED


def test_a_broken_preset_fails_the_job_and_not_the_bridge(place: Place, tmp_path: Path) -> None:
    (tmp_path / "presets" / "test.toml").write_text("name = ", encoding="utf-8")
    detail = place.job_of(place.bounce("a.wav"))
    assert detail is not None
    assert detail.job.state is JobState.FAILED
    (tmp_path / "presets" / "test.toml").write_text(PRESET, encoding="utf-8")
    [part] = place.journal.retry_job(detail.job.id)
    place.intake.look_again(part)
    eventually(
        lambda: place.journal.job(detail.job.id).state is JobState.QUEUED,  # type: ignore[union-attr]
        what="the part to be read after all",
    )


def test_a_hint_warms_the_engine(place: Place) -> None:
    place.intake.hint()
    eventually(lambda: place.engine.warmed, what="the engine to be warmed")
