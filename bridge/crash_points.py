"""Named places at which a test can end the process as a power cut would.

`BRIDGE_CRASH_AT=name:3` kills it the third time that `reach("name")` is passed. Without the variable `reach`
costs one comparison.
"""

from __future__ import annotations

import os

POINTS = (
    "job-before-create",
    "job-after-create",
    "submit-before-intent",
    "submit-after-intent",
    "post-half-sent",
    "post-sent",
    "submit-after-call",
    "submit-after-ticket",
    "fetch-before",
    "fetch-after",
    "cache-before-rename",
    "cache-after-rename",
    "finish-before",
    "finish-after",
    "delivery-before-intent",
    "delivery-after-intent",
    "delivery-temp-half",
    "delivery-before-fsync",
    "delivery-after-fsync",
    "delivery-before-rename",
    "delivery-after-rename",
    "delivery-after-done",
)

_name, _, _count = os.environ.get("BRIDGE_CRASH_AT", "").partition(":")
_left = int(_count or 1)


def reach(name: str) -> None:
    """Ends the process here, without any clean-up, if it was armed for `name`."""
    if name != _name:
        return
    global _left  # noqa: PLW0603  one process dies once: there is nothing to pass around
    _left -= 1
    if _left <= 0:
        os._exit(137)
