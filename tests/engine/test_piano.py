"""Piano to notes: windows, stitching and the whole way, on a small random network; once on the real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from bridge.engine import synth
from bridge.engine.graphs.transkun import build
from bridge.engine.models import ModelStore
from bridge.engine.piano import LEAD_FRAMES, STEP_FRAMES, _patiently, as_transcription, transcribe, windows
from bridge.engine.piano_hearing import (
    FRAME_S,
    FRAMES,
    GRAPH_FAULTS,
    HOP,
    SOUND_SAMPLES,
    Details,
    PianoNetwork,
)
from bridge.engine.piano_stitching import Event, Span, Stitching
from bridge.engine.semi_crf import Intervals
from bridge.errors import AudioError, Cancelled, ModelError
from bridge.media.notes import Note, Transcription, check_transcription
from support.checkpoints import small_transkun, write_checkpoint

Samples = NDArray[np.float32]
RATE_HZ = 44_100
STEP = STEP_FRAMES * HOP
KEY = 41  # some line that is a key


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that hears nonsense, in a moment."""
    folder = tmp_path_factory.mktemp("piano")
    path = folder / "small.onnx"
    weights = small_transkun(layers=1)
    weights["scorer.map.0.weight"] *= np.float32(0.3)
    weights["scorer.map.0.bias"][[0, 16, 32]] = 4, -4, -0.1  # few above 0, as it really is
    path.write_bytes(build(write_checkpoint(folder / "small.pt", weights)))
    return path


def blocks(samples: int, *, size: int = 65_536, channels: int = 1) -> Iterator[Samples]:
    sound = np.arange(1, samples + 1, dtype=np.float32)
    for first in range(0, samples, size):
        yield np.stack([sound[first : first + size]] * channels)


# --- windows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.01, 3, 15.0, 15.1, 20, 29, 31, 44, 45, 75])
@pytest.mark.parametrize("size", [30_000, 3_000_000])
def test_windows_cover_every_sample_and_know_their_places(seconds: float, size: int) -> None:
    samples = int(seconds * RATE_HZ)
    made = list(windows(blocks(samples, size=size)))
    whole = np.concatenate([np.zeros(LEAD_FRAMES * HOP, np.float32), next(blocks(samples, size=samples))[0]])
    for window in made:
        begin = window.span.first * HOP
        there = whole[begin : begin + SOUND_SAMPLES]
        assert window.sound.shape == (1, SOUND_SAMPLES)
        assert np.array_equal(window.sound[0, : len(there)], there)
        assert not window.sound[0, len(there) :].any()
    last = made[-1].span
    assert last.first * HOP + SOUND_SAMPLES >= len(whole)
    assert last.seam is None
    for one, two in pairwise(made):
        assert one.span.next_first == two.span.first <= one.span.first + STEP_FRAMES
        assert one.span.seam == two.span.own
        assert two.span.first + 40 < two.span.own < one.span.first + FRAMES - 40
    assert len(made) == max(1, -(-(len(whole) - SOUND_SAMPLES) // STEP) + 1)


def test_no_sound_is_no_window() -> None:
    assert list(windows(iter([]))) == []


def test_channels_stay_apart() -> None:
    (window,) = windows(blocks(1000, channels=2))
    assert window.sound.shape == (2, SOUND_SAMPLES)


# --- stitching --------------------------------------------------------------------------------------------

FIRST = Span(0, 0, seam=STEP_FRAMES + 44, next_first=STEP_FRAMES)
SECOND = Span(STEP_FRAMES, STEP_FRAMES + 44)
EDGE = FRAMES - 1


def stitched(*takes: tuple[Span, list[tuple[int, int, bool, bool]]]) -> list[tuple[float, float]]:
    """Windows of intervals (first, last, has onset, has end) on one line, to (start, end) in frames."""
    made = Stitching(90)
    for span, rows in takes:
        begin = made.begin(span)[KEY]
        left = [row for row in rows if row[0] >= begin]
        first, last = (np.array([row[at] for row in left], np.int64) for at in (0, 1))
        seen = np.array([row[2:] for row in left], bool).reshape(-1, 2)
        count = len(left)
        found = Intervals(np.full(count, KEY), first, last, np.ones(count, np.float32))
        made.take(span, found, Details(np.full(count, 64), np.zeros((count, 2)), seen))
    return [(event.start, event.end) for event in made.finish()]


def test_a_note_in_the_overlap_is_found_once() -> None:
    before, after = STEP_FRAMES + 20, STEP_FRAMES + 60
    first = [(before, before + 10, True, True), (after, after + 10, True, True)]
    second = [(20, 30, True, True), (60, 70, True, True), (80, 90, True, True)]
    wanted = [(before, before + 10.0), (after, after + 10.0), (STEP_FRAMES + 80, STEP_FRAMES + 90.0)]
    assert stitched((FIRST, first), (SECOND, second)) == wanted


def test_a_note_that_two_windows_place_on_both_sides_of_the_seam_is_found_once() -> None:
    for early, late in ((43, 45), (45, 43)):
        first = [(STEP_FRAMES + early, STEP_FRAMES + early + 20, True, True)]
        second = [(late, late + 20, True, True)]
        assert len(stitched((FIRST, first), (SECOND, second))) == 1


def test_after_the_seam_the_next_window_has_the_word() -> None:
    after = STEP_FRAMES + 60
    assert stitched((FIRST, [(after, after + 10, True, True)]), (SECOND, [])) == []


def test_a_note_goes_on_through_windows_ends() -> None:
    middle = Span(STEP_FRAMES, STEP_FRAMES + 44, seam=2 * STEP_FRAMES + 44, next_first=2 * STEP_FRAMES)
    third = Span(2 * STEP_FRAMES, 2 * STEP_FRAMES + 44)
    takes = (
        (FIRST, [(100, EDGE, True, False)]),
        (middle, [(0, EDGE, False, False)]),
        (third, [(0, 50, False, True)]),
    )
    assert stitched(*takes) == [(100, 2 * STEP_FRAMES + 50)]


def test_a_note_that_begins_in_the_overlap_and_has_no_end_is_the_next_windows() -> None:
    takes = (
        (FIRST, [(STEP_FRAMES + 10, EDGE, True, False)]),
        (SECOND, [(10, 300, True, True)]),
    )
    assert stitched(*takes) == [(STEP_FRAMES + 10, STEP_FRAMES + 300)]


def test_a_sounding_note_ends_where_its_key_is_struck_again_or_the_window_did() -> None:
    struck = ((FIRST, [(100, EDGE, True, False)]), (SECOND, [(30, 60, True, True), (90, 99, True, True)]))
    assert stitched(*struck)[0] == (100, STEP_FRAMES + 30)
    silent = ((FIRST, [(100, EDGE, True, False)]), (SECOND, [(120, 130, True, True)]))
    assert stitched(*silent)[0] == (100, EDGE)
    nothing: list[tuple[int, int, bool, bool]] = []
    assert stitched((FIRST, [(100, EDGE, True, False)]), (SECOND, nothing)) == [(100, EDGE)]


def test_what_sounded_before_the_window_and_was_no_note_then_is_none_now() -> None:
    assert stitched((FIRST, [(0, 30, False, True)])) == []
    assert stitched((FIRST, []), (SECOND, [(0, 30, False, True), (50, 60, True, True)])) == [
        (STEP_FRAMES + 50, STEP_FRAMES + 60)
    ]


def test_events_become_notes_and_pedal_in_seconds() -> None:
    lead = float(LEAD_FRAMES)
    events = [
        Event(0, lead - 5, lead + 100, 64, 2.0),
        Event(1, lead, lead + 100, 64, 2.0),
        Event(2, lead - 0.2, lead + 0.1, 127, 0.0),
        Event(89, lead + 20.5, lead + 5_000, 1, 50.0),
        Event(50, lead + 900, lead + 950, 1, 1.0),
    ]
    heard = as_transcription(events, duration_s=10.0)
    check_transcription(heard)
    assert heard.sustain == ((0.0, 100 * FRAME_S),)
    assert [(note.pitch, note.velocity) for note in heard.notes] == [(21, 127), (108, 1)]
    low, high = heard.notes
    assert (low.start_s, low.end_s, low.confidence) == (0.0, 0.01, 0.5)
    assert high.start_s == pytest.approx(20.5 * FRAME_S)
    assert high.end_s == 10.0


# --- the whole way ----------------------------------------------------------------------------------------


def sound_file(folder: Path, seconds: float, *, channels: int = 2) -> Path:
    path = folder / "take.wav"
    noise = np.random.default_rng(1).normal(0, 0.05, (int(seconds * RATE_HZ), channels))
    sf.write(path, noise, RATE_HZ, subtype="PCM_16")
    return path


@pytest.mark.slow
def test_the_windows_mean_and_deviation_are_taken_out(model: Path) -> None:
    network = PianoNetwork(model, threads=1)
    sound = np.random.default_rng(2).normal(0, 0.05, (1, SOUND_SAMPLES)).astype(np.float32)
    power = network._power(sound)
    assert np.allclose(network._power(sound * 7), power, rtol=1e-3, atol=1e-2)
    assert np.allclose(network._power(np.concatenate([sound, sound])), power, rtol=1e-3, atol=1e-2)
    quiet = network._power(sound * 1e-6)
    assert quiet.max() < power.max() / 100
    assert network._power(sound * 0).max() == 0


@pytest.mark.slow
def test_the_whole_way_reports_progress_and_is_the_same_each_time(model: Path, tmp_path: Path) -> None:
    path = sound_file(tmp_path, 31)
    told: list[float] = []

    def hear() -> Transcription:
        return transcribe(
            path, model=model, threads=1, progress=lambda share, _: told.append(share), check=lambda: None
        )

    heard = hear()
    assert told[0] == 0
    assert told[-1] == 1
    assert told == sorted(told)
    check_transcription(heard)
    assert heard.duration_s == pytest.approx(31, abs=1e-4)
    assert heard.notes
    assert hear() == heard


def test_a_cancel_in_the_midst_of_a_window_is_heeded(model: Path, tmp_path: Path) -> None:
    path = sound_file(tmp_path, 3)
    hearing = threading.Event()

    def progress(_share: float, _words: str) -> None:
        hearing.set()

    def check() -> None:
        if hearing.is_set():
            raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        transcribe(path, model=model, threads=1, progress=progress, check=check)


def test_a_cancel_stops_the_network(model: Path) -> None:
    network = PianoNetwork(model, threads=1)
    never: Future[None] = Future()

    def check() -> None:
        raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        _patiently(never, network, check)
    with pytest.raises(GRAPH_FAULTS):
        network.hear(np.zeros((1, SOUND_SAMPLES), np.float32))


def test_other_files_are_told_apart(model: Path, tmp_path: Path) -> None:
    def hear(source: Path, model: Path) -> object:
        return transcribe(source, model=model, threads=1, progress=lambda *_: None, check=lambda: None)

    (tmp_path / "no.wav").write_bytes(b"no audio")
    with pytest.raises(AudioError):
        hear(tmp_path / "no.wav", model)
    (tmp_path / "no.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="no piano model"):
        hear(sound_file(tmp_path, 1), tmp_path / "no.onnx")
    with pytest.raises(ModelError, match="no piano model"):
        hear(sound_file(tmp_path, 1), tmp_path / "missing.onnx")


@pytest.mark.long
def test_the_real_network_hears_what_is_played(models_folder: Path, tmp_path: Path) -> None:
    store = ModelStore(models_folder)
    if "transkun" not in {state.model.name for state in store.states()}:
        pytest.skip("the table has no transkun")
    played = [
        Note(0.0 + 0.4 * at, 0.3 + 0.4 * at, pitch, 80) for at, pitch in enumerate([60, 64, 67, 72] * 12)
    ]
    path = tmp_path / "played.wav"
    sf.write(path, synth.render(played, rate_hz=RATE_HZ, duration_s=20.0), RATE_HZ)
    heard = transcribe(
        path,
        model=store.pull("transkun", report=print),
        threads=1,
        progress=lambda *_: None,
        check=lambda: None,
    )
    hits = [
        note
        for note in played
        if any(each.pitch == note.pitch and abs(each.start_s - note.start_s) < 0.05 for each in heard.notes)
    ]
    assert len(hits) > 0.7 * len(played)  # this sound is not a piano's
    assert len(heard.notes) <= len(hits) + 2
