"""The commands and their options. What they do is in the modules beside this one, imported when needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand

from bridge.cli import output
from bridge.errors import BridgeError, WrongUse

UNEXPECTED_EXIT = 1

app = typer.Typer(
    name="bridge",
    help="A bounce in your DAW's export folder becomes MIDI in the project folder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(help="What the engine needs: list, pull, verify.", rich_markup_mode=None)
app.add_typer(models, name="models")


class _PlainCommand(TyperCommand):
    """Its help names arguments in our words alone, without Python's types (`FILE <list[Path]>`)."""

    def get_help(self, ctx: Any) -> str:
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                vars(parameter)["display_type_rich"] = lambda ctx: ""  # noqa: ARG005  the method's shape
        return super().get_help(ctx)


_command = partial(app.command, cls=_PlainCommand)
_models_command = partial(models.command, cls=_PlainCommand)
AsJson = Annotated[bool, typer.Option("--json", help="Data for programs, on stdout.")]


def _job_number(text: str) -> int:
    """A job's number, in our own words where it is none."""
    try:
        return int(text)
    except ValueError:
        remedy = "`bridge history` lists them."
        raise WrongUse(f"a job is named by its number, not by '{text}'.", remedy=remedy) from None


JobNumber = Annotated[
    int | None, typer.Argument(metavar="JOB", parser=_job_number, help="Its number; else the latest.")
]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which; else all.")]


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 failed, 2 wrong use. Nobody ever sees a traceback."""
    output.prepare_streams()
    try:
        app(list(arguments), prog_name="bridge")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BridgeError as error:
        output.tell_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  the last resort: one plain line, the rest in the log
        output.tell_unexpected(error)
        return UNEXPECTED_EXIT
    return 0


def _version(wanted: bool) -> None:  # noqa: FBT001  a typer callback's shape
    if wanted:
        from bridge import __version__

        output.say(f"DAW Bridge {__version__}")
        raise typer.Exit


@app.callback()
def _bridge(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


@_command(name="run")
def _run() -> None:
    """Convert what is bounced into the watched folders; Ctrl-C stops."""
    from bridge.cli import running

    raise typer.Exit(running.run())


@_command()
def convert(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Audio files, or folders of them.")],
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="`bridge presets` lists them.")] = None,
    to: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where results go.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter instead of the preset's."),
    ] = None,
    *,
    json: AsJson = False,
) -> None:
    """Convert files now, and wait for the results."""
    from bridge.cli import convert as converting

    raise typer.Exit(converting.convert(files, preset=preset, to=to, settings=settings or [], as_json=json))


@_command()
def status(*, json: AsJson = False) -> None:
    """Is the bridge running, what does it watch, what is it doing?"""
    from bridge.cli import reading

    raise typer.Exit(reading.status(as_json=json))


@_command()
def history(
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, max=10_000, help="How many.")
    ] = 20,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="Only jobs in this state.")] = None,
    before: Annotated[int | None, typer.Option(metavar="JOB", help="Only jobs below this number.")] = None,
    *,
    json: AsJson = False,
) -> None:
    """The latest jobs."""
    from bridge.cli import reading

    raise typer.Exit(reading.history(limit=limit, state=state, before=before, as_json=json))


@_command()
def show(
    what: Annotated[
        str, typer.Argument(metavar="JOB|FILE", help="A job's number, or an audio file or MIDI file.")
    ],
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a file: what this preset adds.")
    ] = None,
    *,
    json: AsJson = False,
) -> None:
    """One job; or a file's tempo, key and place."""
    if what.isdigit() and not Path(what).exists():
        from bridge.cli import reading

        raise typer.Exit(reading.show(int(what), as_json=json))
    from bridge.cli import context

    raise typer.Exit(context.show_file(Path(what), preset=preset, as_json=json))


@_command()
def retry(job: JobNumber = None, *, json: AsJson = False) -> None:
    """Try a failed, waiting or cancelled job again, and wait for it."""
    from bridge.cli import convert as converting

    raise typer.Exit(converting.retry(job, as_json=json))


@_command()
def cancel(job: JobNumber = None, *, json: AsJson = False) -> None:
    """Cancel a job."""
    from bridge.cli import tending

    raise typer.Exit(tending.cancel(job, as_json=json))


@_command()
def trigger(
    action: Annotated[
        str,
        typer.Argument(
            metavar="ACTION", help="convert-latest, convert-file, cancel, retry, redeliver or rescan."
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Its arguments, for example job=7.")
    ] = None,
    *,
    json: AsJson = False,
) -> None:
    """Let the running bridge do something: for keys, scripts and pads."""
    from bridge.cli import tending

    raise typer.Exit(tending.trigger(action, arguments or [], as_json=json))


@_command()
def presets(*, json: AsJson = False) -> None:
    """The presets, and what is wrong with those that cannot be used."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.presets(as_json=json))


@models.callback(invoke_without_command=True)
def _models(context: typer.Context, *, json: AsJson = False) -> None:
    if context.invoked_subcommand is None:
        models_list(json=json)


@_models_command("list")
def models_list(*, json: AsJson = False) -> None:
    """The models: state, size, licence, what they enable."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.models_list(as_json=json))


@_models_command("pull")
def models_pull(names: Names = None, *, json: AsJson = False) -> None:
    """Fetch what is missing."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.models_pull(names or [], as_json=json))


@_models_command("verify")
def models_verify(names: Names = None, *, json: AsJson = False) -> None:
    """Read the files again and compare them with what was promised."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.models_verify(names or [], as_json=json))


@_command()
def init() -> None:
    """Write a commented config.toml."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.init())


@_command()
def doctor(*, json: AsJson = False) -> None:
    """Check everything that the bridge needs, each with its remedy."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.doctor(as_json=json))


@_command()
def demo(*, json: AsJson = False) -> None:
    """Bounce a loop as a DAW would; compare MIDI and loop."""
    from bridge import demo as showing

    raise typer.Exit(showing.demo(as_json=json))
