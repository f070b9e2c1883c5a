"""Two programs in a Link session, on a network of their own: nobody's session outside is touched.

Run as a program it is one of them: `bare` with aalink alone, or `ours`. It takes one JSON list a line (a name
and arguments) and answers each with how it stands.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[2]
NETWORK = "ip link set lo up && ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo"
ENTER = ("nsenter", "--user", "--net", "--preserve-credentials", "--target")


def why_not() -> str:
    """Why there can be no network of a test's own here; empty: there can."""
    needed = ("unshare", "nsenter", "ip")
    if missing := [name for name in needed if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", NETWORK], capture_output=True, check=False
    )
    return "" if done.returncode == 0 else f"no network of its own ({done.stderr.decode().strip()})"


class Network:
    """A network with nothing but the loopback, as long as it is open."""

    def __enter__(self) -> Network:
        self._holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--net", "sh", "-c", f"{NETWORK} && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"up\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.communicate()

    def peer(self, kind: str, bpm: float) -> Peer:
        return Peer([*ENTER, str(self._holder.pid), sys.executable, __file__, kind, str(bpm)])


class Peer:
    """A program of the session, at its pipe."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

    def ask(self, *words: Any) -> dict[str, Any]:
        """`look`, or first do `tempo BPM`, `start`, `stop`. Gives `beat` at `at_s` of our clock, `bpm`,
        `running`, `peers`, and of ours `jumps`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the program has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


# The programs themselves


class Program(Protocol):
    def do(self, name: str, *arguments: float) -> None: ...

    def stands(self) -> dict[str, Any]: ...


class Bare:
    """aalink as its own documents say."""

    def __init__(self, bpm: float) -> None:
        import asyncio

        import aalink  # type: ignore[import-not-found, unused-ignore]

        async def made() -> Any:
            return aalink.Link(bpm)

        self._link = asyncio.run(made())
        self._link.quantum = 4
        self._link.start_stop_sync_enabled = True
        self._link.enabled = True

    def do(self, name: str, *arguments: float) -> None:
        if name == "tempo":
            self._link.tempo = arguments[0]
        elif name in ("start", "stop"):
            self._link.playing = name == "start"

    def stands(self) -> dict[str, Any]:
        spans = []
        for _ in range(50):
            before_s, beat, after_s = time.perf_counter(), self._link.beat, time.perf_counter()
            spans.append((after_s - before_s, (before_s + after_s) / 2, beat))
        _, at_s, beat = min(spans)
        link = self._link
        return {
            "at_s": at_s,
            "beat": beat,
            "bpm": link.tempo,
            "running": link.playing,
            "peers": link.num_peers,
        }


class Ours:
    """`LinkClock`, polled as the MIDI process does it."""

    def __init__(self, bpm: float) -> None:
        sys.path.insert(0, str(ROOT))
        from bridge.midi.link import LOOK_EVERY_S, LinkClock

        self._clock = LinkClock(bpm)
        self._lock = threading.Lock()
        threading.Thread(target=self._poll, args=(LOOK_EVERY_S,), daemon=True).start()

    def _poll(self, every_s: float) -> None:
        while True:
            time.sleep(every_s)
            with self._lock:
                self._clock.poll()

    def do(self, name: str, *arguments: float) -> None:
        with self._lock:
            now = time.perf_counter()
            errands: dict[str, Callable[[], None]] = {
                "tempo": lambda: self._clock.set_tempo(arguments[0], now),
                "start": lambda: self._clock.start(now),
                "stop": lambda: self._clock.stop(now),
            }
            errands.get(name, lambda: None)()

    def stands(self) -> dict[str, Any]:
        with self._lock:
            clock, at_s = self._clock, time.perf_counter()
            told = {"at_s": at_s, "beat": clock.beat_at(at_s), "bpm": clock.bpm, "jumps": clock.jumps}
            return {**told, "running": clock.running, "peers": clock.peers}


def main(kind: str, bpm: str) -> None:
    program: Program = Ours(float(bpm)) if kind == "ours" else Bare(float(bpm))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        program.do(name, *arguments)
        sys.stdout.write(json.dumps(program.stands()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
