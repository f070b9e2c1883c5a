"""A file of a model at an http(s) address, fetched in a process of its own that can be ended at any time.

Run as a script: ADDRESS, the file to write, and the most bytes it may get. What went wrong is its last line.
"""

from __future__ import annotations

import sys
from pathlib import Path

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 12  # each is awaited whole, so this is how fine the progress is


def download(address: str, target: Path, most_bytes: int) -> str:
    """Writes what stands at `address`; gives what went wrong, in plain words, or nothing."""
    import requests  # only a pull needs it

    limits = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
    try:
        with (
            requests.get(address, stream=True, timeout=limits) as answer,
            target.open("wb", buffering=0) as file,  # unbuffered: its size is the progress
        ):
            answer.raise_for_status()
            left = most_bytes
            for chunk in answer.iter_content(CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:  # an error page or an endless stream is not worth reading to its end
                    return f"another file than promised (more than {most_bytes} bytes)"
                file.write(chunk)
    except requests.exceptions.ChunkedEncodingError:
        return "the connection broke off"
    except requests.ConnectionError:
        return "out of reach"
    except (requests.RequestException, OSError) as failure:
        return str(failure)
    return ""


if __name__ == "__main__":
    fault = download(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    sys.exit(fault or 0)  # words go to stderr, and the exit code is 1
