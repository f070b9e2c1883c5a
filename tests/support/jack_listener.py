"""A program at a JACK server, for tests: writes down what comes in at its port, sends what it is told.

Started by `support.jack.Listener`; needs JACK-Client. Questions come by line on its input. The time of a
message counts from when its period really began: JACK's own idea of it needs seconds to recover from an xrun.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections import deque
from ctypes.util import find_library
from functools import partial
from typing import Any

import jack

MICROSECONDS = 1e6
KEPT_PERIODS = 100_000


class Listener:
    def __init__(self, name: str) -> None:
        self.client = jack.Client(name, no_start_server=True)
        self._into = self.client.midi_inports.register("in")
        self._out = self.client.midi_outports.register("out")
        self._heard: list[tuple[int, float, bytes]] = []
        self._sent: list[tuple[int, float, bytes]] = []
        self._periods: deque[float] = deque(maxlen=KEPT_PERIODS)
        self._to_send: deque[tuple[int | None, bytes]] = deque()
        self._echoes = False
        self._rate_hz = float(self.client.samplerate)
        self._frame_of, self._now_us = _jacks_clock(self.client)
        self._shift_s = self._compare()
        self.client.set_process_callback(self._process)
        self.client.set_shutdown_callback(lambda *_: None)
        self.client.activate()

    def _process(self, frames: int) -> None:
        began, start = time.perf_counter(), self.client.last_frame_time
        self._periods.append(began)
        for offset, data in self._into.incoming_midi_events():
            self._heard.append((start + offset, began + offset / self._rate_hz, bytes(data)))
            if self._echoes:
                self._to_send.append((None, bytes(data)))
        self._out.clear_buffer()
        last = 0
        while self._to_send:
            frame = self._to_send[0][0]
            offset = last if frame is None else max(last, frame - start)
            if offset >= frames:
                break
            data = self._to_send.popleft()[1]
            self._out.write_midi_event(offset, data)
            self._sent.append((start + offset, began + offset / self._rate_hz, data))
            last = offset

    def answer(self, question: str) -> str:
        word, *rest = question.split()
        if word == "send":
            self._to_send.extend((None, bytes.fromhex(one)) for one in rest)
        elif word == "at":
            frame = self._frame_of(round((float(rest[0]) - self._shift_s) * MICROSECONDS))
            self._to_send.extend((frame, bytes.fromhex(one)) for one in rest[1:])
        elif word == "echo":
            self._echoes = True
        elif word == "forget":
            self._heard.clear()
            self._sent.clear()
        elif word == "periods":
            return " ".join(map(repr, list(self._periods)))
        else:
            rows = list(self._heard if word == "heard" else self._sent)
            return " ".join(f"{frame},{at_s!r},{data.hex()}" for frame, at_s, data in rows)
        return ""

    def _compare(self) -> float:
        """How far `time.perf_counter` is from JACK's clock: the closest of some tries."""
        tries = []
        for _ in range(20):
            before = time.perf_counter()
            now_us = self._now_us()
            after = time.perf_counter()
            tries.append((after - before, (before + after) / 2 - now_us / MICROSECONDS))
        return float(min(tries)[1])


def _jacks_clock(client: jack.Client) -> tuple[Any, Any]:
    """What turns microseconds into frames, and JACK's own clock: JACK-Client has neither."""
    library = ctypes.CDLL(find_library("jack"))
    pointer = ctypes.c_void_p(int(jack._ffi.cast("uintptr_t", client._ptr)))
    to_frame, now = library.jack_time_to_frames, library.jack_get_time
    to_frame.restype, now.restype = ctypes.c_uint32, ctypes.c_uint64
    to_frame.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    return partial(to_frame, pointer), now


def main() -> None:
    sys.setswitchinterval(0.0001)
    gc.disable()
    listener = Listener(sys.argv[1])
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        print(listener.answer(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
