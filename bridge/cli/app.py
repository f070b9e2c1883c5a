"""The commands and their options. What they do is in the modules beside this one, imported when needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli import hands, output
from bridge.cli.options import AsJson, JobNumber, NamedJob, Names, PlainCommand
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
models = typer.Typer(help="What the engine needs: list, pull, verify; add your own.", rich_markup_mode=None)
app.add_typer(models, name="models")


_command = partial(app.command, cls=PlainCommand)
_models_command = partial(models.command, cls=PlainCommand)


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
    """Convert what is bounced into watched folders; Ctrl-C stops."""
    from bridge.cli import running

    raise typer.Exit(running.run())


@_command()
def convert(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Audio files, or folders of them.")
    ] = None,
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="`bridge presets` lists them.")] = None,
    conversion: Annotated[
        str | None, typer.Option(metavar="NAME", help="One conversion instead of a preset.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where results go.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter instead of the preset's."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Without a file: what the results are called.")
    ] = None,
    *,
    private: Annotated[bool, typer.Option("--private", help="It does not leave this computer.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say the price; send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="It may be sent to MusicGPT; nobody asks.")] = False,
    json: AsJson = False,
) -> None:
    """Convert files now, and wait for the results. Text needs no file."""
    from bridge.cli import convert as converting

    order = converting.Order(
        preset, conversion, to, settings or (), name, private=private, dry_run=dry_run, yes=yes, as_json=json
    )
    raise typer.Exit(converting.convert(files or [], order))


@_command()
def status(*, json: AsJson = False) -> None:
    """Is the bridge running, what does it watch and do?"""
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
def retry(
    job: JobNumber = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Also if that costs once more.")] = False,
    json: AsJson = False,
) -> None:
    """Try a failed, waiting or cancelled job again, and wait."""
    from bridge.cli import convert as converting

    raise typer.Exit(converting.retry(job, yes=yes, as_json=json))


@_command()
def resolve(
    job: NamedJob,
    ticket: Annotated[
        str | None, typer.Option(metavar="ID", help="It did arrive: MusicGPT calls it so.")
    ] = None,
    of: Annotated[str, typer.Option(metavar="STEP|FILE", help="Which one, where several are unknown.")] = "",
    *,
    resubmit: Annotated[bool, typer.Option("--resubmit", help="Send it again; it may cost twice.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Leave it.")] = False,
    json: AsJson = False,
) -> None:
    """Say what became of a request that may have arrived, or not."""
    from bridge.cli import convert as converting

    given = {"resubmit": resubmit, "forget": forget, "ticket": ticket is not None}
    answers = [answer for answer, said in given.items() if said]
    if len(answers) != 1:
        raise WrongUse(
            "say one of --ticket ID, --resubmit or --forget.", remedy=f"`bridge show {job}` tells more."
        )
    raise typer.Exit(converting.resolve(job, answers[0], ticket=ticket, of=of, as_json=json))


@_command()
def cancel(job: JobNumber = None, *, json: AsJson = False) -> None:
    """Cancel a job."""
    from bridge.cli import tending

    raise typer.Exit(tending.cancel(job, as_json=json))


@_command()
def login(
    *,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the key from a pipe.")] = False,
) -> None:
    """Keep your MusicGPT key in this computer's keyring."""
    from bridge.cli import money

    raise typer.Exit(money.login(from_stdin=stdin))


@_command()
def logout() -> None:
    """Take the MusicGPT key out of the keyring."""
    from bridge.cli import money

    raise typer.Exit(money.logout())


@_command()
def allow(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With all folders below it.")],
    *,
    json: AsJson = False,
) -> None:
    """Audio of a folder may be sent to MusicGPT."""
    from bridge.cli import money

    raise typer.Exit(money.allow(folder, as_json=json))


@_command()
def spend(
    days: Annotated[int, typer.Option(metavar="NUMBER", min=1, max=10_000, help="Of so many days.")] = 30,
    *,
    json: AsJson = False,
) -> None:
    """What MusicGPT has cost, and what your caps leave."""
    from bridge.cli import money

    raise typer.Exit(money.spend(days=days, as_json=json))


@_command()
def voices(
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="A part of the name; else all.")
    ] = None,
    page: Annotated[int, typer.Option(metavar="NUMBER", min=0, max=10_000, help="Which page of them.")] = 0,
    *,
    json: AsJson = False,
) -> None:
    """The voices of MusicGPT, with the ids that presets name."""
    from bridge.cli import voices as hearing

    raise typer.Exit(hearing.voices(query, page=page, as_json=json))


hands.add_to(_command)


@_command()
def presets(*, json: AsJson = False) -> None:
    """The presets, and what is wrong with unusable ones."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.presets(as_json=json))


@_command()
def conversions(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which; else all.")] = None,
    *,
    json: AsJson = False,
) -> None:
    """What can be asked of a bounce: by whom, for how much."""
    from bridge.cli import conversions as listing

    raise typer.Exit(listing.conversions(name, as_json=json))


@models.callback(invoke_without_command=True)
def _models(context: typer.Context, *, json: AsJson = False) -> None:
    if context.invoked_subcommand is None:
        models_list(json=json)


@_models_command("list")
def models_list(*, json: AsJson = False) -> None:
    """The models: state, size, licence, what they enable."""
    from bridge.cli import models as keeping

    raise typer.Exit(keeping.listing(as_json=json))


@_models_command("pull")
def models_pull(
    names: Names = None,
    *,
    small: Annotated[
        bool, typer.Option("--small", help="Only what is small: for MIDI, key and tempo; not for stems.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Fetch what is missing."""
    from bridge.cli import models as keeping

    raise typer.Exit(keeping.pull(names or [], small=small, as_json=json))


@_models_command("verify")
def models_verify(names: Names = None, *, json: AsJson = False) -> None:
    """Read the files again and compare them with what was promised."""
    from bridge.cli import models as keeping

    raise typer.Exit(keeping.verify(names or [], as_json=json))


@_models_command("add")
def models_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, as in htdemucs.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An ONNX file that separates stems.")],
    *,
    json: AsJson = False,
) -> None:
    """Add a model of your own for stems."""
    from bridge.cli import models as keeping

    raise typer.Exit(keeping.add(name, file, as_json=json))


@_models_command("remove")
def models_remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model that you added.")],
) -> None:
    """Delete a model that you added."""
    from bridge.cli import models as keeping

    raise typer.Exit(keeping.remove(name))


@_command()
def init() -> None:
    """Write a commented config.toml."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.init())


@_command()
def serve(
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="Where; else any free one.")
    ] = 0,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Else this machine alone.")] = "127.0.0.1",
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="KEY", help="Who may ask; else any key.")
    ] = None,
    plan: Annotated[
        list[str] | None, typer.Option("--plan", metavar="PLAN", help="Limits: free, payg, plus or pro.")
    ] = None,
    pace: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, max=3600, help="How long a rehearsed task takes.")
    ] = 0.3,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="WORDS", help="What goes wrong: 'slow seconds=2'.")
    ] = None,
    *,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Everything, with small made-up results.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Answer as the MusicGPT API does, on this machine."""
    from bridge.cli import serving

    wishes = serving.Wishes(host, port, rehearse, key or (), plan or (), pace, fault or (), json)
    raise typer.Exit(serving.serve(wishes))


@_command()
def doctor(*, json: AsJson = False) -> None:
    """Check everything that the bridge needs, with remedies."""
    from bridge.cli import keeping

    raise typer.Exit(keeping.doctor(as_json=json))


@_command()
def demo(*, json: AsJson = False) -> None:
    """Bounce a loop as a DAW would; compare MIDI and loop."""
    from bridge import demo as showing

    raise typer.Exit(showing.demo(as_json=json))
