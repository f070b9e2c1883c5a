"""A program at a JACK server, for tests: writes down what comes in at its port, sends what it is told.

Started by `support.jack.Listener`; needs JACK-Client. Questions come by line on its input.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import deque

import jack


def main() -> None:
    sys.setswitchinterval(0.0001)
    gc.disable()
    client = jack.Client(sys.argv[1], no_start_server=True)
    into, out = client.midi_inports.register("in"), client.midi_outports.register("out")
    heard: list[tuple[int, bytes]] = []
    echoes: list[bool] = []
    to_send: deque[tuple[int | None, bytes]] = deque()

    def process(frames: int) -> None:
        start = client.last_frame_time
        for offset, data in into.incoming_midi_events():
            heard.append((start + offset, bytes(data)))
            if echoes:
                to_send.append((None, bytes(data)))
        out.clear_buffer()
        last = 0
        while to_send:
            frame = to_send[0][0]
            offset = last if frame is None else max(last, frame - start)
            if offset >= frames:
                break
            out.write_midi_event(offset, to_send.popleft()[1])
            last = offset

    client.set_process_callback(process)
    client.set_shutdown_callback(lambda *_: None)
    client.activate()
    rate = float(client.samplerate)
    anchor_s, anchor = _together(client)

    def answer(question: str) -> str:
        word, *rest = question.split()
        if word == "send":
            to_send.extend((None, bytes.fromhex(one)) for one in rest)
        elif word == "at":
            frame = anchor + round((float(rest[0]) - anchor_s) * rate)
            to_send.extend((frame, bytes.fromhex(one)) for one in rest[1:])
        elif word == "echo":
            echoes.append(True)
        elif word == "forget":
            heard.clear()
        else:
            rows = list(heard)
            return " ".join(f"{f},{anchor_s + (f - anchor) / rate!r},{data.hex()}" for f, data in rows)
        return ""

    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        print(answer(line), flush=True)  # noqa: T201


def _together(client: jack.Client) -> tuple[float, int]:
    """`time.perf_counter` and JACK's frame at one moment: the closest of some tries."""
    tries = []
    for _ in range(50):
        before = time.perf_counter()
        frame = client.frame_time
        after = time.perf_counter()
        tries.append((after - before, (before + after) / 2, frame))
        time.sleep(0.001)
    _, at_s, frame = min(tries)
    return at_s, int(frame)


if __name__ == "__main__":
    main()
