"""How exactly the MIDI process plays, how quick it hears, what it costs: real JACK, a listener not ours.

    python -m benchmarks.midi [--quick] [--minutes 1] [PART …]      parts: notes, exact, pads, clock, idle

notes: 5,000 events a millisecond apart and a dense four-track song, idle and beside two busy processes, and
mido's `play()` in the same run. The error is against the time at which an event is due; RtMidi puts all of a
JACK period at its beginning, so one period cannot be helped, and what is told is what lies beyond. "server":
the longest period that the JACK server itself made of 1.33 ms.
exact: frame-exact output. pads: from a note in JACK to `Pressed`. clock: following a 24-ppqn clock. idle:
processor time and memory with nothing to do. All at -p 64 with -S; notes and exact also without -S.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import mido
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bridge.midi import messages
from bridge.midi.messages import Configure, PadSpec, Play, PlayTold, Ports
from support.jack import JackServer, Listener, listening, until_quiet
from support.midi_parents import Ear, midi_child

RATE_HZ, PERIOD = 48_000, 64
PERIOD_MS = PERIOD / RATE_HZ * 1000
OWN = "DAW Bridge:DAW Bridge"
BPM, PPQN = 125, 480  # 480 ms a beat: a millisecond is one tick
EVENTS, QUICK_EVENTS = 5000, 1000
PRESSES = 200


# What is played


def _file(tracks: Sequence[Sequence[tuple[int, mido.Message]]]) -> mido.MidiFile:
    """Ticks from the beginning, and the message; a tick is a millisecond."""
    made = [mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(BPM))])]
    for events in tracks:
        track, last = mido.MidiTrack(), 0
        for tick, message in events:
            track.append(message.copy(time=tick - last))
            last = tick
        made.append(track)
    return mido.MidiFile(ticks_per_beat=PPQN, tracks=made)


def every_millisecond(count: int) -> mido.MidiFile:
    """Notes of a millisecond, one after the other: on and off are the events."""
    kinds = ("note_on", "note_off")
    return _file(
        [[(i, mido.Message(kinds[i % 2], note=20 + i // 2 % 100, velocity=64)) for i in range(count)]]
    )


def dense_song(beats: int) -> mido.MidiFile:
    """Four tracks of sixteenths with chords, and controllers in between."""
    tracks = []
    for voice in range(4):
        events: list[tuple[int, mido.Message]] = []
        for step in range(beats * 4):
            tick = step * PPQN // 4
            for key in range(3 if voice == 0 else 1):
                note = {"note": 36 + voice * 16 + key * 4 + step % 4, "channel": voice}
                events.append((tick, mido.Message("note_on", velocity=90, **note)))
                events.append((tick + 100, mido.Message("note_off", **note)))
            events += [
                (
                    tick + 7 * i,
                    mido.Message("control_change", control=1, value=(step + i) % 128, channel=voice),
                )
                for i in range(1, 10)
            ]
        tracks.append(sorted(events, key=lambda event: event[0]))
    return _file(tracks)


def due_times(file: mido.MidiFile) -> Due:
    """When each message is due, in the order of a merged track."""
    now, found = 0.0, []
    for message in file:
        now += message.time
        if not message.is_meta:
            found.append((now, tuple(message.bytes())))
    return found


# Around it


@contextmanager
def busy(count: int) -> Iterator[None]:
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


class Stage:
    def __init__(self, stack: ExitStack, settings: Configure, period: int, *, synchronous: bool) -> None:
        self.server = stack.enter_context(JackServer(period=period, synchronous=synchronous))
        self.ear = stack.enter_context(midi_child(settings))
        self.listener = stack.enter_context(listening(self.server))
        self.server.connect(OWN, "listener:in")
        until_quiet(self.listener, 0.2)
        self.listener.forget()


@contextmanager
def stage(
    settings: Configure | None = None, period: int = PERIOD, *, synchronous: bool = True
) -> Iterator[Stage]:
    settings = settings or Configure(clock="internal", tempo_bpm=BPM)
    with ExitStack() as stack:
        yield Stage(stack, settings, period, synchronous=synchronous)


def row(name: str, *values: str) -> None:
    print(f"{name:<46}" + "".join(f"{value:>12}" for value in values), flush=True)


def _percentile(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


Due = list[tuple[float, tuple[int, ...]]]
Heard = list[tuple[int, float, tuple[int, ...]]]


def _beyond_ms(due: Due, heard: Heard, periods: list[float]) -> list[float]:
    """By how much each message missed the first period that it could have left in; 0: it left in that one.

    The i-th heard one is the i-th due one. When the playing began is known by the earliest hundredth.
    """
    late = [at_s - when for (when, _), (_, at_s, _) in zip(due, heard, strict=False)]
    began = _percentile(late, 0.01)
    missed = []
    for (when, _), (_, at_s, _) in zip(due, heard, strict=False):
        before = periods[max(0, bisect_left(periods, at_s - 1e-6) - 1)]
        missed.append(max(0.0, before - (began + when)) * 1000)
    return missed


def _tell(name: str, due: Due, listener: Listener) -> None:
    until_quiet(listener, 0.3)
    wanted = {data for _, data in due}
    heard = [one for one in listener.heard() if one[2] in wanted]
    lost = len(due) - len(heard)
    order = "in order" if [data for _, _, data in heard] == [data for _, data in due] else "NOT in order"
    periods = listener.periods()
    beyond = _beyond_ms(due, heard, periods)
    stalls = max(after - before for before, after in pairwise(periods)) * 1000
    p50, p99, worst = (f"{_percentile(beyond, part):.3f}" for part in (0.5, 0.99, 1.0))
    row(name, str(lost), order, p50, p99, worst, f"{stalls:.1f}")


# The parts


@dataclass(frozen=True)
class How:
    quick: bool
    minutes: float
    folder: Path


def notes(how: How) -> None:
    row("beyond one period of 1.33 ms", "lost", "", "p50 ms", "p99 ms", "max ms", "server ms")
    files = {
        "1 ms apart": every_millisecond(QUICK_EVENTS if how.quick else EVENTS),
        "dense song": dense_song(8 if how.quick else 24),
    }
    for name, file in files.items():
        path = how.folder / f"{name}.mid"
        file.save(path)
        for hogs in (0, 2):
            beside = " beside two busy processes" if hogs else ""
            with stage() as on, busy(hogs):
                _play(on.ear, path)
                _tell(f"{name}{beside}", due_times(file), on.listener)
            _play_by_mido(f"{name}{beside}, mido's play()", file, hogs)
    with stage(synchronous=False) as on:
        _play(on.ear, how.folder / "dense song.mid")
        _tell("dense song, without -S", due_times(files["dense song"]), on.listener)


def _play(ear: Ear, path: Path) -> None:
    ear.forget()
    ear.child.tell(Play("benchmark", str(path), when="now"))
    ear.waits_for(PlayTold, lambda told: told.state == "ended", deadline_s=120)


MIDO = """
import sys, mido
mido.set_backend("mido.backends.rtmidi/UNIX_JACK")
port = mido.open_output("out", virtual=True, client_name="mido")
print("ready", flush=True)
sys.stdin.readline()
for message in mido.MidiFile(sys.argv[1]).play():
    port.send(message)
print("done", flush=True)
sys.stdin.readline()
"""


def _play_by_mido(name: str, file: mido.MidiFile, hogs: int) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(JackServer(period=PERIOD))
        listener = stack.enter_context(listening(server))
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "song.mid"
        file.save(path)
        player = subprocess.Popen(
            [sys.executable, "-c", MIDO, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert player.stdin is not None
        assert player.stdout is not None
        player.stdout.readline()
        server.connect("mido:out", "listener:in")
        stack.enter_context(busy(hogs))
        player.stdin.write("go\n")
        player.stdin.flush()
        player.stdout.readline()
        _tell(name, due_times(file), listener)
        player.communicate("end\n", timeout=10)


def exact(how: How) -> None:
    count, gap_ms = (300, 10) if how.quick else (1500, 10)
    clicks = [
        (i * gap_ms, mido.Message("note_on", note=40 + i % 40, velocity=1 + i % 100)) for i in range(count)
    ]
    path = how.folder / "clicks.mid"
    _file([clicks]).save(path)
    row("frame-exact, notes 10 ms apart", "notes", "exact", "worst frames")
    trials = ((64, True, 0), (64, False, 0), (256, True, 0), (256, False, 0), (256, False, 2))
    for period, synchronous, hogs in trials:
        name = f"-p {period}{'' if synchronous else ' without'} -S{', two busy processes' if hogs else ''}"
        settings = Configure(clock="internal", tempo_bpm=BPM, frame_exact=True)
        with stage(settings, period, synchronous=synchronous) as on, busy(hogs):
            _play(on.ear, path)
            until_quiet(on.listener, 0.3)
            frames = [frame for frame, _, data in on.listener.heard() if data[0] == 0x90]
        gaps = [after - before - gap_ms * RATE_HZ // 1000 for before, after in pairwise(frames)]
        right = sum(gap == 0 for gap in gaps)
        row(name, f"{len(frames)}/{count}", f"{right}/{count - 1}", str(max(map(abs, gaps), default=0)))


def pads(how: How) -> None:
    row("from a note in JACK to Pressed", "pressed", "", "p50 ms", "p99 ms", "max ms")
    presses = 50 if how.quick else PRESSES
    for hogs in (0, 2):
        settings = Configure(pads=(PadSpec("note 36"),), inputs=("listener*",))
        arrived: list[float] = []
        with stage(settings) as on, busy(hogs):
            on.ear.waits_for(Ports, lambda told: bool(told.listening))
            on.ear.on_told = _noting(arrived)
            took = []
            for number in range(presses):
                at_s = time.perf_counter()
                on.listener.send((0x99, 36, 100), (0x89, 36, 0))
                while len(arrived) <= number and time.perf_counter() < at_s + 1:
                    time.sleep(0.0005)
                took.append((arrived[-1] - at_s) * 1000)
                time.sleep(0.02 + number % 7 * 0.003)
        p50, p99, worst = (f"{_percentile(took, part):.2f}" for part in (0.5, 0.99, 1.0))
        row("beside two busy processes" if hogs else "idle", f"{len(arrived)}/{presses}", "", p50, p99, worst)


def _noting(arrived: list[float]) -> Callable[[messages.Told], None]:
    def note(told: messages.Told) -> None:
        if isinstance(told, messages.Pressed):
            arrived.append(time.perf_counter())

    return note


def clock(how: How) -> None:
    """The listener sends a clock, exactly; a song of quarters answers: a note belongs on every 24th tick."""
    path = how.folder / "quarters.mid"
    beat = [(i * PPQN, mido.Message("note_on", note=60 + i, velocity=100)) for i in range(4)]
    beat += [(i * PPQN + 200, mido.Message("note_off", note=60 + i)) for i in range(4)]
    _file([sorted(beat, key=lambda event: event[0])]).save(path)
    row(
        f"following a clock for {0.1 if how.quick else how.minutes:g} min",
        "notes",
        "start ms",
        "p50 ms",
        "p99 ms",
        "drift ms",
    )
    for bpm in (120,) if how.quick else (60, 120, 174):
        beats = round((0.1 if how.quick else how.minutes) * bpm)
        with stage(Configure(inputs=("listener*",), outputs=())) as on:
            on.ear.waits_for(Ports, lambda told: bool(told.listening))
            on.ear.child.tell(Play("clock", str(path), loop=True, armed=True))
            tick_s = 60 / bpm / 24
            _clock(on.listener, time.perf_counter() + 0.1, 24, tick_s)
            time.sleep(0.1 + 24 * tick_s)
            on.ear.child.tell(messages.Begin("clock"))
            time.sleep(0.1)
            on.listener.forget()
            first = time.perf_counter() + 0.1
            on.listener.send_at(first - 0.01, (0xFA,))
            _clock(on.listener, first, beats * 24, tick_s)
            time.sleep(0.1 + beats * tick_s * 24)
            heard = [at_s for _, at_s, data in on.listener.heard() if data[0] == 0x90]
            ticks = [at_s for _, at_s, data in on.listener.sent() if data == (0xF8,)]
        late = [(at_s - tick) * 1000 for at_s, tick in zip(heard, ticks[::24], strict=False)]
        spread = [max(0.0, abs(one - statistics.median(late)) - PERIOD_MS) for one in late]
        fifth = max(1, len(late) // 5)
        drift = statistics.median(late[-fifth:]) - statistics.median(late[:fifth])
        p50, p99 = statistics.median(late), _percentile(spread, 0.99)
        row(
            f"{bpm} BPM",
            f"{len(heard)}/{beats}",
            f"{late[0]:.2f}",
            f"{p50:.2f}",
            f"{p99:.2f}",
            f"{drift:.2f}",
        )


def _clock(listener: Listener, first: float, ticks: int, tick_s: float) -> None:
    for number in range(ticks):
        listener.send_at(first + number * tick_s, (0xF8,))


def idle(how: How) -> None:
    row("with nothing to do", "CPU %", "memory MB", "resident MB")
    for name, settings in (
        ("no input connected", Configure(inputs=())),
        ("one input listened to", Configure()),
    ):
        with stage(settings) as on:
            pid = on.ear.child.pid()
            assert pid is not None
            process = psutil.Process(pid)
            time.sleep(3)
            process.cpu_percent()
            time.sleep(3 if how.quick else 10)
            used = process.memory_full_info()
            row(name, f"{process.cpu_percent():.1f}", f"{used.uss / 1e6:.0f}", f"{used.rss / 1e6:.0f}")


PARTS = {"notes": notes, "exact": exact, "pads": pads, "clock": clock, "idle": idle}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="a first look, within a minute")
    parser.add_argument("--minutes", type=float, default=1.0, help="so long each clock is followed")
    chosen = parser.parse_args()
    for name in set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {name!r}")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.parts or PARTS:
            PARTS[name](How(chosen.quick, chosen.minutes, Path(folder)))
            print()


if __name__ == "__main__":
    main()
