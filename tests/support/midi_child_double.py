"""A MIDI process that does as it is told, for tests of the daemon's end.

The word in its settings' `controller` says how it behaves.
"""

from __future__ import annotations

import os
import sys
import time

from bridge.midi import messages

AGAIN = 75


def main() -> None:
    manner = ""
    for line in sys.stdin.buffer:
        command = messages.unpacked(line)
        if isinstance(command, messages.Configure):
            manner = command.controller
            _say(messages.Ports("double", why=manner))
        elif isinstance(command, messages.Ping):
            if manner != "frozen":
                _say(messages.Pong(command.number))
        elif isinstance(command, messages.Tempo) and command.bpm == AGAIN:
            os._exit(AGAIN)
        elif isinstance(command, messages.Tempo) and command.bpm == 1:
            os._exit(1)
        elif isinstance(command, messages.Tempo) and command.bpm == 2:
            sys.stdout.buffer.write(b"this is no message\n")
            sys.stdout.buffer.flush()
        else:
            _say(messages.Trouble(type(command).__name__, messages.packed(command).decode()))
    time.sleep(3600 if manner == "stays" else 0)


def _say(told: messages.Told) -> None:
    sys.stdout.buffer.write(messages.packed(told))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
