"""What the commands share: how their help looks, and the arguments that several of them have."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand

from bridge.errors import WrongUse


class PlainCommand(TyperCommand):
    """Its help names arguments in our words alone, without Python's types (`FILE <list[Path]>`)."""

    def get_help(self, ctx: Any) -> str:
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                vars(parameter)["display_type_rich"] = lambda ctx: ""  # noqa: ARG005  the method's shape
        return super().get_help(ctx)


def job_number(text: str) -> int:
    """A job's number, in our own words where it is none."""
    try:
        return int(text)
    except ValueError:
        remedy = "`bridge history` lists them."
        raise WrongUse(f"a job is named by its number, not by '{text}'.", remedy=remedy) from None


AsJson = Annotated[bool, typer.Option("--json", help="Data for programs, on stdout.")]
JobNumber = Annotated[
    int | None, typer.Argument(metavar="JOB", parser=job_number, help="Its number; else the latest.")
]
NamedJob = Annotated[int, typer.Argument(metavar="JOB", parser=job_number, help="Its number.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which; else all.")]
