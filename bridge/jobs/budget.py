"""What may be sent, and what it may cost: the musician's caps. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from bridge.errors import BridgeError, ChargedFailure, NotAllowed, OutcomeUnknown, TicketLost
from bridge.jobs.model import ConversionState

C = ConversionState


@dataclass(frozen=True)
class Caps:
    """US dollars; `unpriced`: also what nobody has told a price for."""

    day_usd: float = math.inf
    project_usd: float = math.inf
    conversion_usd: float = math.inf
    unpriced: bool = True


NO_CAPS = Caps()


@dataclass(frozen=True)
class Bill:
    """What one attempt will cost by the price list (None: nobody has told a price), under which caps."""

    usd: float | None
    caps: Caps = NO_CAPS
    nonce: str = ""


def check_caps(bill: Bill, *, spent_today_usd: float, spent_in_project_usd: float) -> None:
    """Raises NotAllowed where the bill would go beyond a cap."""
    caps = bill.caps
    if bill.usd is None and not caps.unpriced:
        raise NotAllowed(
            "the vendor's price list does not say what this costs, so it is not sent.",
            remedy="Set allow_unpriced = true below [musicgpt] in config.toml to send it all the same.",
        )
    usd = bill.usd or 0.0
    this = "nobody knows what this would cost" if bill.usd is None else f"this would cost {usd_words(usd)}"
    rows = (
        ("cap_conversion_usd", caps.conversion_usd, 0.0, "one conversion"),
        ("cap_day_usd", caps.day_usd, spent_today_usd, "a day"),
        ("cap_project_usd", caps.project_usd, spent_in_project_usd, "this project"),
    )
    for name, cap, spent_usd, what in rows:
        # Where nobody knows the price, it is more than nothing.
        if spent_usd + usd > cap + _ROUNDING or (bill.usd is None and spent_usd >= cap):
            or_wait = ", or wait until tomorrow" if name == "cap_day_usd" else ""
            so_far = f"{usd_words(spent_usd)} of it are spent, and " if spent_usd else ""
            raise NotAllowed(
                f"your cap for {what} is {usd_words(cap)}; {so_far}{this}.",
                remedy=f"Raise {name} in config.toml{or_wait}; then `bridge retry` sends it.",
            )


_ROUNDING = 1e-9


def usd_words(usd: float) -> str:
    """`$0.024`: as many digits as a price has."""
    cents = f"{usd:.4f}".rstrip("0")
    whole, _, digits = cents.partition(".")
    return f"${whole}.{digits:0<2}"


def day_began(wall_s: float) -> float:
    """The wall clock at the last midnight, local time."""
    now = datetime.fromtimestamp(wall_s).astimezone()
    return now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def bill_state(before: ConversionState, after: ConversionState, error: BridgeError | None) -> str | None:
    """What becomes of an attempt's bill when its conversion changes so; None: it stays as it is.

    "free" only where nothing can have been charged; whatever nobody can tell counts.
    """
    if after is C.DONE:
        return "charged"
    if after is C.RUNNING and before in (C.SUBMITTING, C.UNKNOWN, C.FAILED, C.CANCELLED):
        return "open"
    if isinstance(error, (ChargedFailure, OutcomeUnknown, TicketLost)) or after is C.UNKNOWN:
        return "unknown"
    if before is C.SUBMITTING:
        # Queued again by itself: the one way there is "send it again, whatever became of it".
        return "free" if after in (C.WAITING_RETRY, C.FAILED) else "unknown"
    return None
