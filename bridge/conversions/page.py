"""The reference page of all conversions, written from the table: `python -m bridge.conversions.page FILE`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bridge.conversions import describe
from bridge.conversions.catalogue import CATALOGUE
from bridge.conversions.model import Conversion

HEAD = """\
# Conversions

Everything that can be asked of a bounce, with its parameters, results, limits and prices. The command
`bridge conversions` prints the same in short, `bridge conversions NAME` all of one. How they are put to use:
[presets.md](presets.md).

This page is written from the table that the bridge works by. After a change there:
`python -m bridge.conversions.page docs/conversions.md`.

* "MusicGPT" is the MusicGPT API: your audio leaves this machine, and a conversion costs what the table says.
  "This machine" is the engine in the bridge: free, and nothing leaves.
* Prices are in US dollars, as MusicGPT's documentation gave them in October 2026. A started minute of input
  counts as a whole one; songs come in two takes, each of which costs, unless `num_outputs` is 1.
  `bridge convert … --dry-run` tells the sum before anything is sent. The free plan pays as pay-as-you-go
  beyond its free songs.
* `--set NAME=VALUE` gives a parameter on the command line; a list is words with commas between them.
* "–" is a value that is not given: then what suits the input best holds, or nothing.
* What is marked as deduced is said by no documentation; it may turn out otherwise.
* Stems: which price belongs to which stem is deduced from the price list's words; it also has a dearer one
  for "premium" bass and drums, without saying when that holds. `bridge spend` tells what was charged.
"""


def page() -> str:
    """The whole page as Markdown."""
    rows = CATALOGUE.values()
    overview = _table(
        ("conversion", "", "works on", "done by"),
        (
            (f"[`{row.name}`](#{_anchor(row)})", row.title, describe.INPUTS[row.input], describe.who(row))
            for row in rows
        ),
    )
    return "\n".join([HEAD, overview, *map(_section, rows)])


def _anchor(row: Conversion) -> str:
    return row.name.lower()


def _section(row: Conversion) -> str:
    return "\n".join(
        [f"## {row.name}", "", *_facts(row), "", *_parameters(row), *_results(row), *_prices(row)]
    )


def _facts(row: Conversion) -> Iterator[str]:
    yield f"{row.title}: {row.about[0].lower()}{row.about[1:]}"
    yield ""
    works_on = ", ".join(filter(None, (describe.INPUTS[row.input], describe.longest(row))))
    yield f"* works on {works_on}; done by {describe.who(row)}"
    kind = f"type `{row.conversion_type}`" if row.conversion_type else "no documented type"
    yield f"* MusicGPT: `{row.method} {row.path}`, {kind}, {describe.EVIDENCE[row.evidence]}"
    if not row.deterministic:
        yield "* makes something new each time: the same request again is another result, and costs again"
    if row.synchronous:
        yield "* the result comes at once"


def _parameters(row: Conversion) -> Iterator[str]:
    if row.parameters:
        yield _table(
            ("parameter", "kind", "default", "may be", "known to", ""),
            (
                (
                    f"`{one.name}`",
                    one.kind,
                    describe.default(one),
                    describe.limits(one),
                    describe.known_to(row, one),
                    describe.remarks(row, one),
                )
                for one in row.parameters
            ),
        )


def _results(row: Conversion) -> Iterator[str]:
    yield _table(
        ("result", "file", "asked for by", ""),
        (
            (f"`{one.role}`", describe.suffix(one), describe.asked_by(one), describe.holds(one))
            for one in row.results
        ),
    )


def _prices(row: Conversion) -> Iterator[str]:
    if not row.tiers:
        yield "Price: MusicGPT's documentation names none.\n"
        return
    yield _table(("price for", *describe.plan_names()), describe.price_rows(row))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Writes the page into the file that is named."""
    (name,) = arguments
    Path(name).write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
