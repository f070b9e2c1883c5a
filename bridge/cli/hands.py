"""The commands around pads, keys and MIDI ports, and `trigger`, which does from outside what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from bridge.cli.options import AsJson


def trigger(
    action: Annotated[
        str | None, typer.Argument(metavar="ACTION", help="Without one: the list of them.")
    ] = None,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Its arguments, for example job=7.")
    ] = None,
    *,
    json: AsJson = False,
) -> None:
    """Let the running bridge do something: for keys and pads."""
    from bridge.cli import tending

    if action is None:
        raise typer.Exit(tending.list_actions(as_json=json))
    raise typer.Exit(tending.trigger(action, arguments or [], as_json=json))


def learn(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="`bridge trigger` lists them.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Its arguments, for example preset=stems.")
    ] = None,
    press: Annotated[str, typer.Option(metavar="HOW", help="press, short, long or double.")] = "press",
    port: Annotated[str, typer.Option(metavar="NAME", help="Only on this controller.")] = "",
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Instead of what the pad does now.")] = False,
    json: AsJson = False,
) -> None:
    """Touch a pad, and it does this from now on."""
    from bridge.cli import learn as learning

    raise typer.Exit(
        learning.learn(action, arguments or [], press=press, port=port, replace=replace, as_json=json)
    )


def ports(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Show what comes in, until Ctrl-C.")] = False,
    json: AsJson = False,
) -> None:
    """The MIDI ports that there are."""
    from bridge.cli import ports as listing

    raise typer.Exit(listing.ports(watch=watch, as_json=json))


def latency(
    port: Annotated[str, typer.Argument(metavar="PORT", help="An output, by name.")],
    back: Annotated[str, typer.Argument(metavar="BACK", help="The input that it is led back to.")] = "",
    count: Annotated[int, typer.Option(metavar="NUMBER", min=10, max=10_000, help="How often.")] = 200,
    *,
    json: AsJson = False,
) -> None:
    """How long a note takes out of a port and back in."""
    from bridge.cli import ports as listing

    raise typer.Exit(listing.latency(port, back, count=count, as_json=json))


def add_to(command: Callable[..., Callable[[Callable[..., None]], Any]]) -> None:
    for one in (trigger, learn, ports, latency):
        command()(one)
