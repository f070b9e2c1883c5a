"""`bridge conversions`: what can be asked of a bounce, by whom, for how much."""

from __future__ import annotations

from bridge.cli import output
from bridge.conversions import catalogue, describe
from bridge.conversions.model import Conversion, Plan
from bridge.conversions.pricing import PLAN_NAMES
from bridge.home import home


def conversions(name: str | None, *, as_json: bool) -> int:
    """All of them, or one by its name. Raises PresetError with the nearest name."""
    rows = list(catalogue.CATALOGUE.values()) if name is None else [catalogue.conversion(name)]
    if as_json:
        data = [describe.as_data(row) for row in rows]
        output.say_json(data if name is None else data[0])
    elif name is None:
        _list(rows)
    else:
        _show(rows[0])
    return 0


def _list(rows: list[Conversion]) -> None:
    plan = _plan()
    output.table(
        ("conversion", "", "done by", f"MusicGPT's price on {PLAN_NAMES[plan]}, USD"),
        ((row.name, row.title, describe.who(row), describe.price(row, plan)) for row in rows),
    )
    output.say()
    output.say("`bridge conversions NAME` tells all of one; `bridge convert FILE --conversion NAME` does it.")


def _plan() -> Plan:
    from bridge import config

    return config.load(home()).musicgpt.plan


def _show(row: Conversion) -> None:
    works_on = ", ".join(filter(None, (describe.INPUTS[row.input], describe.longest(row))))
    kind = f", type {row.conversion_type}" if row.conversion_type else ""
    output.say(f"{row.name}: {row.title}")
    output.say(f"  {row.about}")
    output.say(f"  Works on  {works_on}")
    output.say(f"  Done by   {describe.who(row)}")
    output.say(f"  MusicGPT  {row.method} {row.path}{kind} ({describe.EVIDENCE[row.evidence]})")
    if not row.deterministic:
        output.say(
            "  Makes something new each time: the same request again is another result, and costs again."
        )
    if row.parameters:
        _say_parameters(row)
    output.say()
    output.table(
        ("result", "file", "asked for by", ""),
        (
            (one.role, describe.suffix(one), describe.asked_by(one), describe.holds(one))
            for one in row.results
        ),
    )
    output.say()
    if row.tiers:
        plans = (f"{name}, USD" for name in describe.plan_names())
        output.table(("price for", *plans), describe.price_rows(row))
    else:
        output.say("Price: MusicGPT's documentation names none.")


def _say_parameters(row: Conversion) -> None:
    output.say()
    output.table(
        ("parameter", "kind", "default", "may be", "known to", ""),
        (
            (
                one.name,
                one.kind,
                describe.default(one),
                describe.limits(one),
                describe.known_to(row, one),
                describe.remarks(row, one),
            )
            for one in row.parameters
        ),
    )
