"""A JACK server of a test's own, and listeners at it that are none of ours.

    with JackServer() as server: …

`server.environment` goes to processes; in this process it is set while the server is there. The server's name
is unique, so tests can run side by side.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import pytest

from support.polling import eventually

_NUMBERS = itertools.count()
MISSING = next((name for name in ("jackd", "jack_wait", "jack_connect") if not shutil.which(name)), "")
needs_jack = pytest.mark.skipif(bool(MISSING), reason=f"JACK is not installed here ({MISSING} is missing)")
LISTENER = Path(__file__).with_name("jack_listener.py")


START_WITHIN_S = 60.0
PREFIX = "daw-bridge-test"
REGISTRY = Path("/dev/shm/jack-shm-registry")
"""Where JACK keeps the places: for each a process number and `jack-UID:NAME:`."""


class JackServer:
    """A server with the dummy driver. It can be killed and started again under its name."""

    def __init__(self, *, period: int = 256, synchronous: bool = True, log: Path | None = None) -> None:
        self.name = f"{PREFIX}-{os.getpid()}-{next(_NUMBERS)}"
        self.period = period
        self.environment = {**os.environ, "JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1"}
        self._synchronous = synchronous
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._before: dict[str, str | None] = {}

    def start(self) -> None:
        """Waits for a place if there is none: one machine has room for eight servers."""
        until = time.monotonic() + START_WITHIN_S
        while not self._comes_up():
            assert time.monotonic() < until, "JACK does not start; jackd -d dummy says why"
            _free_places()
            time.sleep(0.1)

    def _comes_up(self) -> bool:
        self._process = _jackd(self.name, self._log, period=self.period, synchronous=self._synchronous)
        while self._process.poll() is None:
            asked = subprocess.run(["jack_lsp"], env=self.environment, capture_output=True, check=False)
            if asked.returncode == 0:
                return True
            time.sleep(0.01)
        return False

    def kill(self, how: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def run(self, *command: str) -> str:
        """What a JACK tool prints."""
        ended = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=30
        )
        return ended.stdout

    def ports(self) -> list[str]:
        return self.run("jack_lsp").splitlines()

    def connections(self, port: str) -> list[str]:
        """What is connected to a port."""
        found, here = [], False
        for line in self.run("jack_lsp", "-c").splitlines():
            if not line.startswith(" "):
                here = line == port
            elif here:
                found.append(line.strip())
        return found

    def connect(self, source: str, sink: str, deadline_s: float = 10.0) -> None:
        """Connects two ports, as soon as both are there."""

        def joined() -> bool:
            self.run("jack_connect", source, sink)
            return sink in self.connections(source)

        eventually(joined, what=f"{source} → {sink}", deadline_s=deadline_s, every_s=0.02)

    def __enter__(self) -> JackServer:
        for name in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER"):
            self._before[name] = os.environ.get(name)
            os.environ[name] = self.environment[name]
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:  # one that was killed keeps its place until one of its name ends in order
            self.start()
        self.kill(signal.SIGTERM)
        for name, value in self._before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _jackd(
    name: str, log: Path | None, *, period: int = 256, synchronous: bool = True
) -> subprocess.Popen[bytes]:
    waits = ["-S"] if synchronous else []
    command = f"jackd -n {name} -R {' '.join(waits)} -d dummy -r 48000 -p {period}"
    with (log or Path(os.devnull)).open("ab") as out:
        return subprocess.Popen(command.split(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _free_places() -> None:
    """Frees those of tests that were killed: JACK does it when a server of that name ends in order."""
    known = REGISTRY.read_bytes() if REGISTRY.exists() else b""
    for found in re.finditer(rb"jack-\d+:(%s-[\d-]+):" % PREFIX.encode(), known):
        pid = int.from_bytes(known[found.start() - 4 : found.start()], sys.byteorder)
        if not Path(f"/proc/{pid}").exists():
            again = _jackd(found.group(1).decode(), None)
            time.sleep(1.0)
            again.terminate()
            again.wait()


class Listener:
    """A process at a JACK server that writes down what comes in, frame by frame; it can also send.

    Its input is `NAME:in`, its output `NAME:out`.
    """

    def __init__(self, server: JackServer, name: str = "listener") -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(LISTENER), name],
            env=server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def send(self, *messages: Sequence[int]) -> None:
        """Sends in the next period."""
        self._ask("send " + " ".join(bytes(one).hex() for one in messages))

    def send_at(self, at_s: float, *messages: Sequence[int]) -> None:
        """Sends at a time of `time.perf_counter`, at its exact frame."""
        self._ask(f"at {at_s!r} " + " ".join(bytes(one).hex() for one in messages))

    def heard(self) -> list[tuple[int, float, tuple[int, ...]]]:
        """Everything so far: the frame, the same as `time.perf_counter`, and the message."""
        return self._rows("heard")

    def sent(self) -> list[tuple[int, float, tuple[int, ...]]]:
        """What was sent, and when it really left."""
        return self._rows("sent")

    def messages(self) -> list[tuple[int, ...]]:
        return [data for _, _, data in self.heard()]

    def periods(self) -> list[float]:
        """When the server's periods really began, lately: a late server is none of our lateness."""
        return [float(one) for one in self._ask("periods").split()]

    def echo(self) -> None:
        """From now on everything that comes in goes out again, in the same period."""
        self._ask("echo")

    def forget(self) -> None:
        self._ask("forget")

    def _rows(self, question: str) -> list[tuple[int, float, tuple[int, ...]]]:
        parts = (row.split(",") for row in self._ask(question).split())
        return [(int(frame), float(at_s), tuple(bytes.fromhex(data))) for frame, at_s, data in parts]

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@contextlib.contextmanager
def listening(server: JackServer, name: str = "listener") -> Iterator[Listener]:
    listener = Listener(server, name)
    try:
        yield listener
    finally:
        listener.close()


def sounding_at_the_end(heard: Sequence[Sequence[int]]) -> set[tuple[int, int]]:
    """The notes (channel from 0, key) that a listener is left with; all notes off ends those of a channel."""
    held: set[tuple[int, int]] = set()
    for data in heard:
        kind, channel = data[0] & 0xF0, data[0] & 0x0F
        if kind == 0x90 and data[2]:
            held.add((channel, data[1]))
        elif kind in (0x80, 0x90):
            held.discard((channel, data[1]))
        elif kind == 0xB0 and data[1] in (120, 123):
            held = {note for note in held if note[0] != channel}
    return held


def until_quiet(listener: Listener, quiet_s: float = 0.3, deadline_s: float = 10.0) -> list[tuple[int, ...]]:
    """Everything a listener heard, once nothing more comes."""
    until, last, since = time.monotonic() + deadline_s, -1, time.monotonic()
    while time.monotonic() < until:
        heard = listener.messages()
        if len(heard) != last:
            last, since = len(heard), time.monotonic()
        elif time.monotonic() - since > quiet_s:
            return heard
        time.sleep(0.02)
    raise AssertionError("it never became quiet")
