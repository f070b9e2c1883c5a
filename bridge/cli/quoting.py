"""`bridge convert --dry-run`: what it would cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.cli import output
from bridge.cli.connection import connect
from bridge.home import home
from bridge.jobs.budget import usd_words

Quote = Mapping[str, Any]
ASKED = ("preset", "conversion", "set")
"""What of a wish has to do with its price."""


def dry_run(files: Sequence[Path], wanted: Mapping[str, Any], *, as_json: bool) -> int:
    """Asks for the price of each file, or of what needs none. Nothing is sent and nothing is kept."""
    asked = {name: wanted[name] for name in ASKED if name in wanted}
    with connect(home()) as connection:
        abouts = [{"file": str(file)} for file in files] or [{}]
        quotes = [{**about, **connection.act("quote", {**asked, **about})} for about in abouts]
    if as_json:
        output.say_json(quotes)
    else:
        for line in lines(quotes):
            output.say(line)
    return 0


def lines(quotes: Sequence[Quote]) -> Iterator[str]:
    """Each file with its steps, then the sum."""
    for quote in quotes:
        yield Path(quote["file"]).name if "file" in quote else "Without a file"
        yield from map(_step_line, quote["steps"])
    known = sum(step["usd"] or 0.0 for one in quotes for step in one["steps"])
    unknown = any(one["unknown"] for one in quotes)
    yield f"In all {total_words(known, unknown=unknown)}. Nothing was sent."


def total_words(usd: float, *, unknown: bool) -> str:
    if unknown:
        return f"{usd_words(usd)} and what nobody has told the price of"
    return f"about {usd_words(usd)}" if usd else "nothing to pay"


def _step_line(step: Quote) -> str:
    usd = step["usd"]
    price = "price not known" if usd is None else usd_words(usd) if usd else "free"
    basis = f" ({step['basis']})" if step["basis"] and usd != 0 else ""
    asks = "; you are asked first whether it may be sent" if step["consent"] else ""
    name = step["step"] if step["step"] == step["conversion"] else f"{step['step']}: {step['conversion']}"
    return f"  {name} by {step['converter']}, {price}{basis}{asks}"
