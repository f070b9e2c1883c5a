"""The fitter that asks a real engine process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bridge.converters.base import ConversionRequest
from bridge.converters.fitting import EngineFitter, Fitter, Raw
from bridge.converters.local import LocalConverter
from bridge.engine.models import ModelStore
from bridge.engine.worker import Worker, WorkerOptions
from bridge.errors import AudioError
from bridge.jobs.model import Fingerprint
from bridge.media.notes import NOTES_MEDIA_TYPE
from support.polling import eventually
from support.returned_sets import BOUNCE_HZ, SERVICE_HZ, bounce, lag, parts, returned

STEMS = parts(3.0)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    one = Worker("fitting", WorkerOptions(log_file=log))
    one.call("probe", {"source": "", "project_folder": ""}).future.exception()  # begun before any test is
    yield one
    one.stop()


@pytest.fixture
def fitter(worker: Worker) -> Fitter:
    return EngineFitter(worker)


def fingerprint_of(path: Path) -> Fingerprint:
    stat = path.stat()
    return Fingerprint(stat.st_size, stat.st_mtime_ns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    (made / "original").mkdir(parents=True)
    return made


def stems_back(folder: Path) -> list[Raw]:
    return [
        Raw(name, returned(folder / "original" / f"{name}.mp3", stem, delay=1105), "audio/mpeg", "source")
        for name, stem in STEMS.items()
    ]


def test_stems_become_artifacts_that_lie_on_the_bounce(fitter: Fitter, folder: Path, tmp_path: Path) -> None:
    source = bounce(tmp_path, STEMS)
    made = fitter.fit(stems_back(folder), folder, source=source, fingerprint=fingerprint_of(source))
    assert [one.role for one in made] == list(STEMS)
    for one in made:
        assert (one.path.parent, one.media_type) == (folder, "audio/wav")
        assert lag(sf.read(one.path)[0], STEMS[one.role]) == 0
        assert one.about["note"] == "from a 44.1 kHz MP3"
        assert one.about["lossy"] is True
    assert len(list((folder / "original").iterdir())) == len(STEMS)


@pytest.mark.parametrize("happened", ["changed", "gone", "no audio any more"])
def test_a_source_that_is_not_what_it_was_costs_the_place_only(
    fitter: Fitter, folder: Path, tmp_path: Path, happened: str
) -> None:
    source = bounce(tmp_path, STEMS)
    known: Fingerprint | None = fingerprint_of(source)
    if happened == "changed":
        os.utime(source, ns=(1, 1))
    elif happened == "gone":
        source.unlink()
    else:
        source.write_text("words", encoding="utf-8")
        known = None
    made = fitter.fit(stems_back(folder)[:1], folder, source=source, fingerprint=known)
    assert sf.info(made[0].path).samplerate == SERVICE_HZ
    assert made[0].about["note"].endswith("so it begins with its own first sound")


def test_what_is_trimmed_comes_back_to_its_place(fitter: Fitter, folder: Path, tmp_path: Path) -> None:
    stem = np.pad(STEMS["drums"], ((BOUNCE_HZ, 0), (0, 0)))
    source = bounce(tmp_path, {"drums": stem})
    known = fingerprint_of(source)
    sent = fitter.trimmed(source, known, tmp_path)
    assert sent != source
    sound, rate_hz = sf.read(sent)
    back = returned(folder / "original" / "drums.mp3", sound, rate_hz=rate_hz, delay=1105)
    raw = Raw("drums", back, "audio/mpeg", "source")
    made = fitter.fit([raw], folder, source=source, fingerprint=known, was_trimmed=True)
    placed = sf.read(made[0].path)[0]
    assert (lag(placed, stem), placed.shape) == (0, stem.shape)


def test_notes_and_files_as_they_are(fitter: Fitter, folder: Path, tmp_path: Path) -> None:
    table = folder / "original" / "notes.csv"
    table.write_text("start_time_s,end_time_s,pitch_midi,velocity,pitch_bend\n0.5,1,60,90,0\n", "utf-8")
    midi = folder / "original" / "notes.mid"
    midi.write_bytes(b"broken")
    raws = [Raw("midi", midi, "audio/midi"), Raw("note_events", table, "text/csv")]
    made = fitter.fit(raws, folder, source=None, fingerprint=None)
    assert [(one.role, one.media_type) for one in made] == [
        ("midi", NOTES_MEDIA_TYPE),
        ("note_events", "text/csv"),
    ]


def test_what_is_no_audio_is_told_across_the_pipe(fitter: Fitter, folder: Path, tmp_path: Path) -> None:
    page = folder / "original" / "drums.mp3"
    page.write_text("<html>", encoding="utf-8")
    with pytest.raises(AudioError) as caught:
        fitter.fit([Raw("drums", page, "audio/mpeg", "own")], folder, source=None, fingerprint=None)
    assert caught.value.file == str(page)


@pytest.mark.slow
def test_formats_are_converted_without_any_model(worker: Worker, tmp_path: Path) -> None:
    local = LocalConverter(worker, ModelStore(tmp_path / "none"), tmp_path / "scratch", tmp_path / "heard")
    assert local.capabilities()["file_convert"].available
    source = bounce(tmp_path, STEMS)
    asked = {"target_format": "mp3", "target_sr": 96_000, "target_bit_depth": None}
    request = ConversionRequest("file_convert", asked, source, "key", fingerprint_of(source))
    ticket = local.submit(request)
    eventually(lambda: local.poll(ticket).state != "running")
    folder = tmp_path / "fetched"
    folder.mkdir()
    (artifact,) = local.fetch(ticket, folder, request)
    assert (artifact.role, artifact.media_type) == ("converted", "audio/mpeg")
    assert sf.info(artifact.path).frames == 3 * 48_000
    assert artifact.about == {"note": "48 kHz, as mp3 has no 96 kHz"}
