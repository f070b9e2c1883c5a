from __future__ import annotations

import errno
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import mido
import pytest

from bridge.delivery import desk, placing
from bridge.delivery.desk import RETRY_AFTER_S
from bridge.delivery.placing import temp_path
from bridge.errors import ModelError, StaleJobError
from bridge.jobs.model import ConversionState, DeliveryState, Fingerprint, JobState
from bridge.media.musical_time import Timeline
from support.deliveries import FINGERPRINT, Bench, preset_data

C, D = ConversionState, DeliveryState
SIDECAR = "Loop_100bpm.bridge.json"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.journal.close()


def _sidecar(bench: Bench, name: str = SIDECAR) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((bench.project / name).read_text(encoding="utf-8"))
    return data


# All is well


def test_notes_lie_in_the_project_as_midi_with_a_sidecar_and_nothing_else(bench: Bench) -> None:
    job_id = bench.converted()
    bench.deliver_all()
    assert bench.files() == [SIDECAR, "Loop_100bpm_midi.mid"]
    assert bench.states(job_id) == [("artifact", "done"), ("sidecar", "done")]
    assert bench.state(job_id) is JobState.DONE
    done = bench.one(job_id)
    path = bench.project / "Loop_100bpm_midi.mid"
    assert (done.final_path, done.note) == (path, "1 note, 100 BPM from the file name, heard as solo")
    assert (done.size, done.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert done.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert done.ended_at == bench.clock.wall()
    assert [message.note for message in mido.MidiFile(path) if message.type == "note_on"] == [60]


def test_what_the_sidecar_says_is_true(bench: Bench) -> None:
    job_id = bench.converted(roles=("midi", "sonified"))
    bench.deliver_all()
    data = _sidecar(bench)
    written = data.pop("files")
    assert [one["note"] for one in written] == ["1 note, 100 BPM from the file name, heard as solo", ""]
    files = {one["name"]: one["sha256"] for one in written}
    assert files == {
        name: hashlib.sha256((bench.project / name).read_bytes()).hexdigest()
        for name in ("Loop_100bpm_midi.mid", "Loop_100bpm_sonified.wav")
    }
    detail = bench.journal.detail(job_id)
    assert detail is not None
    (conversion,) = data.pop("conversions")
    assert conversion == {
        "step": "notes",
        "conversion": "audio_to_midi",
        "converter": "local",
        "parameters": {"lowest_note": 21},
        "from_cache": False,
        "depends_on": FINGERPRINT,
        "artifacts": {one.role: one.sha256 for one in detail.artifacts},
        "heard": {"material": "solo", "why": "one note at a time", "notes": [[0.0, 60, 0.9]]},
    }
    assert data.pop("made_by").startswith("DAW Bridge ")
    assert data == {
        "job": job_id,
        "preset": "test",
        "source": {
            "name": "Loop_100bpm.wav",
            "samples_sha256": "samples",
            "frames": 48000,
            "channels": 2,
            "rate_hz": 48000,
            "warnings": [],
        },
        "tempo_bpm": 100.0,
        "tempo_changes": False,
        "tempo_source": "file name",
        "meter": "4/4",
        "meter_source": "assumed",
        "key": None,
        "key_source": "unknown",
        "position_s": None,
        "position_bar": None,
        "position_beat_in_bar": None,
        "position_source": "unknown",
        "markers": [],
        "markers_source": "unknown",
        "remarks": [],
        "timeline": Timeline.constant(100).to_json(),
        "bounced_at": "2027-01-15T07:59:59.000+00:00",
        "delivered_at": "2027-01-15T08:00:00.000+00:00",
    }


def test_a_name_stands_in_the_sidecar_as_it_is(bench: Bench) -> None:
    bench.converted("Take [  12 ].wav")
    bench.deliver_all()
    assert _sidecar(bench, "Take [  12 ].bridge.json")["source"]["name"] == "Take [  12 ].wav"


@pytest.mark.parametrize("error", [ModelError("it is missing."), KeyError("musicgpt")])
def test_a_model_that_is_gone_by_now_does_not_hold_the_sidecar_up(bench: Bench, error: Exception) -> None:
    bench.fingerprint_error = error
    job_id = bench.converted()
    bench.deliver_all()
    assert bench.state(job_id) is JobState.DONE
    assert _sidecar(bench)["conversions"][0]["depends_on"] == {}


def test_the_sidecar_comes_last_and_once(bench: Bench) -> None:
    job_id = bench.converted(roles=("midi", "sonified"))
    first, second = bench.due()
    bench.desk.handle(first)
    assert [kind for kind, _ in bench.states(job_id)] == ["artifact", "artifact"]
    bench.desk.handle(second)
    assert bench.states(job_id)[2] == ("sidecar", "pending")
    assert bench.state(job_id) is JobState.RUNNING
    bench.deliver_all()
    assert len(bench.states(job_id)) == 3


def test_deliveries_that_end_at_the_same_time_make_one_sidecar(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each must not take the other for the last: here both would look before either is done."""
    job_id = bench.converted(roles=("midi", "sonified"))
    deliveries, both_looked = bench.due(), threading.Barrier(2)
    is_settled = bench.journal.part_is_settled

    def look_and_wait_for_the_other(part_id: int) -> bool:
        answer = is_settled(part_id)
        with suppress(threading.BrokenBarrierError):
            both_looked.wait(timeout=0.3)
        return answer

    monkeypatch.setattr(bench.journal, "part_is_settled", look_and_wait_for_the_other)
    threads = [threading.Thread(target=bench.desk.handle, args=(one,)) for one in deliveries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kind for kind, _ in bench.states(job_id)] == ["artifact", "artifact", "sidecar"]


def test_the_sidecar_can_be_turned_off(bench: Bench) -> None:
    job_id = bench.converted(preset=preset_data([{"from": "notes", "sidecar": False}]))
    bench.deliver_all()
    assert bench.files() == ["Loop_100bpm_midi.mid"]
    assert bench.state(job_id) is JobState.DONE


def test_names_come_from_the_presets_pattern(bench: Bench) -> None:
    preset = preset_data([{"from": "notes", "pattern": "{preset}/{step}/a/b/{bounce} - {role}.{ext}"}])
    bench.converted("Übung: 1?.wav", preset=preset, roles=("midi", "stem:vocals"))
    bench.deliver_all()
    assert bench.files() == [
        "test/notes/a/b/Übung- 1- - midi.mid",
        "test/notes/a/b/Übung- 1- - stem-vocals.wav",
        "Übung- 1-.bridge.json",
    ]


def test_the_tempo_comes_from_the_preset_then_from_the_settings(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_bpm=90.0)
    first = bench.converted("a.wav", preset=preset_data(tempo_bpm=140.0))
    second = bench.converted("b.wav")
    bench.deliver_all()
    assert bench.one(first).note == "1 note, 140 BPM from the preset, heard as solo"
    assert bench.one(second).note == "1 note, 90 BPM from the settings, heard as solo"
    bench.journal.close()


# Never over anything, never twice


def test_the_musicians_own_file_stays(bench: Bench) -> None:
    bench.project.mkdir()
    (bench.project / "Loop_100bpm_midi.mid").write_bytes(b"edited by hand")
    job_id = bench.converted()
    bench.deliver_all()
    assert (bench.project / "Loop_100bpm_midi.mid").read_bytes() == b"edited by hand"
    assert bench.one(job_id).final_path == bench.project / "Loop_100bpm_midi (2).mid"
    assert _sidecar(bench)["files"][0]["name"] == "Loop_100bpm_midi (2).mid"


def test_a_name_that_is_taken_at_the_last_moment_is_left_alone(bench: Bench) -> None:
    job_id = bench.converted()
    taken = bench.project / "Loop_100bpm_midi.mid"
    bench.project.mkdir()

    def take(*_: object) -> None:
        if bench.one(job_id).state is D.WRITING and not taken.exists():
            taken.write_bytes(b"the DAW was faster")

    bench.journal.listen(take)
    bench.deliver_all()
    assert taken.read_bytes() == b"the DAW was faster"
    assert bench.files() == [SIDECAR, "Loop_100bpm_midi (2).mid", taken.name]
    assert bench.one(job_id).final_path == bench.project / "Loop_100bpm_midi (2).mid"
    assert bench.state(job_id) is JobState.DONE


def test_identical_bytes_are_adopted_and_nothing_is_written(bench: Bench) -> None:
    bench.converted()
    bench.deliver_all()
    before = {path: path.stat().st_mtime_ns for path in bench.project.iterdir()}
    bench.clock.advance(100)
    again = bench.converted()
    bench.deliver_all()
    assert {path: path.stat().st_mtime_ns for path in bench.project.iterdir()} == before
    assert bench.states(again) == [("artifact", "done")]
    assert bench.state(again) is JobState.DONE
    adopted = bench.one(again)
    assert adopted.final_path == bench.project / "Loop_100bpm_midi.mid"
    assert adopted.sha256 == hashlib.sha256(adopted.final_path.read_bytes()).hexdigest()


def test_what_was_deleted_comes_back(bench: Bench) -> None:
    bench.converted()
    bench.deliver_all()
    (bench.project / "Loop_100bpm_midi.mid").unlink()
    again = bench.converted()
    bench.deliver_all()
    assert bench.one(again).final_path == bench.project / "Loop_100bpm_midi.mid"
    assert bench.files()[-1] == "Loop_100bpm_midi.mid"


def test_a_new_version_lies_beside_the_old_one(bench: Bench) -> None:
    bench.converted()
    bench.deliver_all()
    bench.converted(pitch=72)
    bench.deliver_all()
    assert bench.files() == [
        "Loop_100bpm.bridge (2).json",
        SIDECAR,
        "Loop_100bpm_midi (2).mid",
        "Loop_100bpm_midi.mid",
    ]


# Own outputs in a watched folder


def test_own_outputs_are_known_while_they_are_written_and_after(bench: Bench) -> None:
    job_id = bench.converted()
    path = bench.project / "Loop_100bpm_midi.mid"
    assert not bench.journal.knows(path, Fingerprint(1, 1))
    seen: list[tuple[DeliveryState, bool]] = []

    def look(*_: object) -> None:
        seen.append((bench.one(job_id).state, bench.journal.knows(path, Fingerprint(1, 1))))

    bench.journal.listen(look)
    bench.desk.handle(bench.due()[0])
    assert seen == [(D.WRITING, True), (D.DONE, False)]
    assert bench.journal.knows(path, Fingerprint.of(path))
    path.write_bytes(b"edited")
    assert not bench.journal.knows(path, Fingerprint.of(path))


def test_adopted_files_are_known_too(bench: Bench) -> None:
    bench.converted()
    bench.deliver_all()
    path = bench.project / "Loop_100bpm_midi.mid"
    path.write_bytes(path.read_bytes())  # the same bytes, another time
    bench.converted()
    bench.deliver_all()
    assert bench.journal.knows(path, Fingerprint.of(path))


# Trouble


def test_a_delivery_waits_longer_each_time_and_is_made_when_the_folder_is_back(bench: Bench) -> None:
    bench.project.write_bytes(b"a file in the folder's place")
    job_id = bench.converted()
    waits = []
    for _ in range(7):
        (delivery,) = bench.due()
        bench.desk.handle(delivery)
        waiting = bench.one(job_id)
        assert waiting.state is D.WAITING_RETRY
        assert waiting.retry_at is not None
        waits.append(waiting.retry_at - bench.clock.wall())
        assert bench.due() == []
        bench.clock.advance(waits[-1])
    assert waits == [*RETRY_AFTER_S, RETRY_AFTER_S[-1], RETRY_AFTER_S[-1]]
    assert bench.state(job_id) is JobState.WAITING
    error = bench.one(job_id).error
    assert error is not None
    assert error["code"] == "delivery"
    assert "tried again by itself" in error["remedy"]
    bench.project.unlink()
    bench.deliver_all()
    assert bench.files() == [SIDECAR, "Loop_100bpm_midi.mid"]
    assert bench.state(job_id) is JobState.DONE
    assert bench.one(job_id).error is None


def test_a_drive_that_is_unplugged_is_waited_for_and_not_made_up(bench: Bench) -> None:
    bench.project = bench.folder / "drive" / "a" / "b" / "project"
    job_id = bench.converted()
    bench.deliver_all()
    assert bench.state(job_id) is JobState.WAITING
    assert not (bench.folder / "drive").exists()
    (bench.folder / "drive").mkdir()
    bench.clock.advance(RETRY_AFTER_S[0])
    bench.deliver_all()
    assert bench.state(job_id) is JobState.DONE


@pytest.mark.parametrize("damage", ["gone", "other bytes", "another version"])
def test_a_result_that_the_cache_has_lost_fails_with_a_remedy_and_is_not_waited_for(
    bench: Bench, damage: str
) -> None:
    job_id = bench.converted()
    detail = bench.journal.detail(job_id)
    assert detail is not None
    artifact = detail.artifacts[0]
    if damage == "gone":
        artifact.path.unlink()
    elif damage == "other bytes":
        artifact.path.write_text(artifact.path.read_text(encoding="utf-8").replace("60", "61"), "utf-8")
    else:
        artifact.path.write_text('{"version": 999}', encoding="utf-8")
        bench.journal._db.execute(
            "UPDATE artifacts SET sha256 = ?", (hashlib.sha256(artifact.path.read_bytes()).hexdigest(),)
        )
    bench.deliver_all()
    assert bench.states(job_id) == [("artifact", "failed")]
    assert bench.state(job_id) is JobState.FAILED
    error = bench.one(job_id).error
    assert error is not None
    assert error["remedy"] == "Convert the bounce again."
    assert bench.files() == []


# Cancelled by the musician


def test_a_cancelled_delivery_is_not_made(bench: Bench) -> None:
    job_id = bench.converted()
    (delivery,) = bench.due()
    bench.journal.cancel_job(job_id)
    with pytest.raises(StaleJobError):
        bench.desk.handle(delivery)
    assert bench.files() == []
    assert bench.states(job_id) == [("artifact", "cancelled")]


def test_a_delivery_that_fails_while_it_is_cancelled_stays_cancelled(bench: Bench) -> None:
    bench.project.write_bytes(b"in the way")
    job_id = bench.converted()
    (delivery,) = bench.due()
    bench.journal.listen(lambda events: _cancel_at(bench, job_id, [one.data.get("state") for one in events]))
    bench.desk.handle(delivery)
    assert bench.states(job_id) == [("artifact", "cancelled")]
    assert bench.state(job_id) is JobState.CANCELLED


def _cancel_at(bench: Bench, job_id: int, states: list[Any]) -> None:
    if "writing" in states:
        bench.journal.cancel_job(job_id)


# After a crash: the intent is in the journal, and the folder is in some state


def _intend(bench: Bench, job_id: int, data: bytes) -> tuple[Path, Path]:
    """The journal as it is when the process died in mid-delivery; gives the final and the temporary path."""
    delivery = bench.one(job_id)
    final = bench.project / "Loop_100bpm_midi.mid"
    temp = temp_path(final, delivery.id)
    bench.journal.move_delivery(
        delivery.id,
        D.PENDING,
        D.WRITING,
        final_path=str(final),
        temp_path=str(temp),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        note="said before",
    )
    bench.project.mkdir(exist_ok=True)
    return final, temp


@pytest.fixture
def midi(tmp_path: Path) -> bytes:
    """What will be delivered."""
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other")
    other.converted()
    other.deliver_all()
    other.journal.close()
    return (other.project / "Loop_100bpm_midi.mid").read_bytes()


@pytest.mark.parametrize("lies_there", ["nothing", "half", "temp", "both", "final", "reservation"])
def test_a_crash_at_any_moment_ends_in_one_file_and_one_sidecar(
    bench: Bench, midi: bytes, lies_there: str
) -> None:
    job_id = bench.converted()
    final, temp = _intend(bench, job_id, midi)
    contents: dict[str, list[tuple[Path, bytes]]] = {
        "nothing": [],
        "half": [(temp, midi[: len(midi) // 2])],
        "temp": [(temp, midi)],
        "both": [(temp, midi), (final, midi)],
        "final": [(final, midi)],
        "reservation": [(temp, midi), (final, b"")],
    }
    for path, data in contents[lies_there]:
        path.write_bytes(data)
    bench.deliver_all()
    assert {path.name for path in bench.project.iterdir()} == {SIDECAR, final.name}
    assert final.read_bytes() == midi
    assert bench.state(job_id) is JobState.DONE
    done = bench.one(job_id)
    assert (done.final_path, done.size) == (final, len(midi))
    assert done.mtime_ns == final.stat().st_mtime_ns
    assert done.note == (
        "said before"
        if lies_there in {"both", "final"}
        else "1 note, 100 BPM from the file name, heard as solo"
    )


def test_after_a_crash_a_file_that_took_the_name_meanwhile_stays(bench: Bench, midi: bytes) -> None:
    job_id = bench.converted()
    final, temp = _intend(bench, job_id, midi)
    temp.write_bytes(midi)
    final.write_bytes(b"made by hand while the bridge was down")
    bench.deliver_all()
    assert final.read_bytes() == b"made by hand while the bridge was down"
    assert (bench.project / "Loop_100bpm_midi (2).mid").read_bytes() == midi
    assert not temp.exists()


def test_a_drive_that_comes_back_with_the_remains_of_a_crash_is_tidied(bench: Bench, midi: bytes) -> None:
    """The first look after the crash finds the drive unplugged; the file was there whole all the time."""
    job_id = bench.converted()
    final, temp = _intend(bench, job_id, midi)
    final.write_bytes(midi)
    temp.write_bytes(midi)
    unplugged = bench.folder / "unplugged"
    bench.project.rename(unplugged)
    bench.project.write_bytes(b"in the way")
    bench.deliver_all()
    assert bench.state(job_id) is JobState.WAITING
    bench.project.unlink()
    unplugged.rename(bench.project)
    bench.clock.advance(RETRY_AFTER_S[-1])
    bench.deliver_all()
    assert {path.name for path in bench.project.iterdir()} == {SIDECAR, final.name}
    assert bench.state(job_id) is JobState.DONE


def test_a_disk_that_fails_right_after_the_rename_gets_no_second_sidecar(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = bench.converted()
    bench.desk.handle(bench.due()[0])

    def fail(_: Path) -> None:
        monkeypatch.undo()
        raise OSError(errno.EIO, "the drive was pulled out")

    monkeypatch.setattr(placing, "sync_folder", fail)
    bench.desk.handle(bench.due()[0])
    assert bench.states(job_id)[1] == ("sidecar", "waiting_retry")
    bench.clock.advance(RETRY_AFTER_S[0])
    bench.deliver_all()
    assert bench.files() == [SIDECAR, "Loop_100bpm_midi.mid"]
    assert bench.state(job_id) is JobState.DONE


def test_a_copy_that_came_meanwhile_is_adopted_without_a_sidecar(bench: Bench) -> None:
    # The same audio twice, delivered at the same time by two threads.
    first, second = bench.converted(), bench.converted()

    def overtake(*_: object) -> None:
        if bench.one(second).state is D.WRITING and bench.one(first).state is D.PENDING:
            bench.desk.handle(bench.one(first))

    bench.journal.listen(overtake)
    bench.desk.handle(bench.one(second))
    bench.clock.advance(1)
    bench.deliver_all()
    assert bench.files() == [SIDECAR, "Loop_100bpm_midi.mid"]


def test_what_nobody_foresaw_waits_as_a_full_disk_does(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(desk, "render", stumble)
    job_id = bench.converted()
    bench.desk.handle(bench.due()[0])
    assert bench.state(job_id) is JobState.WAITING
    error = bench.one(job_id).error
    assert error is not None
    assert "unforeseen" in error["message"]
    assert bench.due() == [], "it keeps no other delivery from its place"
    monkeypatch.undo()
    bench.clock.advance(RETRY_AFTER_S[0])
    bench.deliver_all()
    assert bench.state(job_id) is JobState.DONE
