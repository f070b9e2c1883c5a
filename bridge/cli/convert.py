"""`bridge convert`, `retry` and `resolve`: work that is waited for, and what is asked on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from bridge.cli import asking, describe, follow, output, quoting
from bridge.cli.connection import Connection, connect
from bridge.cli.follow import Outcomes
from bridge.conversions import catalogue
from bridge.errors import PaidAgain, WrongUse
from bridge.home import home
from bridge.media.audio_header import AUDIO_SUFFIXES

STOPPED_EXIT = 130
FORGET = "forget"


@dataclass(frozen=True)
class Order:
    """What `bridge convert` was asked for, beside the files."""

    preset: str | None = None
    conversion: str | None = None
    to: Path | None = None
    settings: Sequence[str] = ()
    name: str | None = None
    private: bool = False
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False

    def arguments(self) -> dict[str, Any]:
        """As the actions take them; what was not said is left out."""
        told = {
            "preset": self.preset,
            "conversion": self.conversion,
            "to": str(self.to.expanduser().absolute()) if self.to else None,
            "set": _whole_paths(pairs(self.settings, "--set")),
            "name": self.name,
            "private": self.private,
            "allow_upload": self.yes,
        }
        return {name: value for name, value in told.items() if value}


def convert(files: Sequence[Path], order: Order) -> int:
    """Converts files and folders; the exit code is 0 only if every one is done."""
    _check(files, order)
    wanted = order.arguments()
    found = _found(files) if files else {}
    if order.dry_run:
        return quoting.dry_run(list(found), wanted, as_json=order.as_json)
    with _terminated_as_interrupted(), connect(home()) as connection:
        if found:
            return _convert_files(connection, found, wanted, as_json=order.as_json)
        # Words are no audio of a folder, so there is nothing to say yes to.
        words = {name: value for name, value in wanted.items() if name != "allow_upload"}
        return _follow(connection, "convert_text", {**words, "trigger": "cli"}, as_json=order.as_json)


def _convert_files(
    connection: Connection, found: Mapping[Path, bool], wanted: Mapping[str, Any], *, as_json: bool
) -> int:
    wishes = follow.wishes_for(found, lambda file: wanted if found[file] else {**wanted, "batch": True})
    with follow.display(len(wishes)) as display:
        outcomes = follow.Follower(connection, display).convert(wishes)
    _ask(outcomes, connection, as_json=as_json)
    return _tell(outcomes, connection, not_begun=_not_begun(wishes, outcomes), as_json=as_json)


def retry(job: int | None, *, yes: bool, as_json: bool) -> int:
    """Tries a job again and waits for it; asks first where that may cost once more."""
    arguments = {**({} if job is None else {"job": job}), **({"pay": True} if yes else {})}
    with _terminated_as_interrupted(), connect(home()) as connection:
        try:
            outcomes = _retried(connection, arguments)
        except PaidAgain as price:
            if not _may_ask(as_json=as_json):
                raise
            output.note(price.message)
            if not output.confirm("Pay for it again?"):
                output.note("Nothing was sent.")
                return 1
            outcomes = _retried(connection, {**arguments, "pay": True})
        _ask(outcomes, connection, as_json=as_json)
        return _tell(outcomes, connection, as_json=as_json)


def _retried(connection: Connection, arguments: Mapping[str, Any]) -> Outcomes:
    with follow.display(1) as display:
        return follow.Follower(connection, display).retry(arguments)


def resolve(job: int, answer: str, *, ticket: str | None, of: str, as_json: bool) -> int:
    """Answers what nobody knew of a job, and waits for it where it goes on."""
    given = {"ticket": ticket, "of": of}
    arguments = {"job": job, "answer": answer, **{name: one for name, one in given.items() if one}}
    with _terminated_as_interrupted(), connect(home()) as connection:
        if answer != FORGET:
            return _follow(connection, "resolve", arguments, as_json=as_json)
        connection.act("resolve", arguments)
        if as_json:
            output.say_json([connection.detail(job)])
        else:
            output.say(f"Job {job} is left as it is. It may have been charged, so it counts as spent.")
    return 0


def _follow(connection: Connection, action: str, arguments: Mapping[str, Any], *, as_json: bool) -> int:
    """Does one of the actions and waits for the job that it gives."""

    def act() -> Mapping[int, str]:
        job_id = int(connection.act(action, arguments)["job"])
        return {job_id: f"job {job_id}"}

    with follow.display(1) as display:
        outcomes = follow.Follower(connection, display).after(act)
    _ask(outcomes, connection, as_json=as_json)
    return _tell(outcomes, connection, as_json=as_json)


def _check(files: Sequence[Path], order: Order) -> None:
    """Raises WrongUse for options that do not go together."""
    if order.preset and order.conversion:
        raise WrongUse("--preset and --conversion exclude each other.", remedy="Take one of them out.")
    if files and order.name:
        raise WrongUse("--name is for conversions without a file.", remedy="A file's results have its name.")
    if files:
        return
    if not order.preset and not order.conversion:
        raise WrongUse("there is no file named.", remedy="For example: bridge convert take.wav")
    if order.conversion:
        row = catalogue.conversion(order.conversion)
        if row.input != "text":
            what = "a picture" if row.input == "image" else "an audio file"
            raise WrongUse(
                f"{row.name} begins with {what}, and none is named.",
                remedy=f"For example: bridge convert take.wav --conversion {row.name}",
            )


# What is asked on the way


def _may_ask(*, as_json: bool) -> bool:
    return not as_json and output.is_terminal()


def _ask(outcomes: Outcomes, connection: Connection, *, as_json: bool) -> None:
    """Asks what jobs have stopped at, each question once, and waits for what a yes sets going."""
    asked: set[tuple[str, str]] = set()
    while not outcomes.stopped and _may_ask(as_json=as_json):
        open_now = _questions(outcomes)
        question = next((one for one in open_now if one.key not in asked), None)
        if question is None:
            return
        asked.add(question.key)
        for words in question.words:
            output.note(words)
        if output.confirm(question.ask):
            _say_yes(question, outcomes, connection)


def _say_yes(question: asking.Question, outcomes: Outcomes, connection: Connection) -> None:
    def act() -> Mapping[int, str]:
        connection.act(question.action, question.arguments)
        return question.jobs

    with follow.display(len(question.jobs)) as display:
        follow.Follower(connection, display, outcomes).after(act)


def _questions(outcomes: Outcomes) -> list[asking.Question]:
    details = [one for one in outcomes.details.values() if one["state"] == "needs_you"]
    if not details:
        return []
    from bridge import config

    settings = config.load(home())

    def folder_of(path: Path) -> Path:
        watched = config.folder_of(settings, path)
        return watched.path if watched else path.parent

    host = urlsplit(settings.musicgpt.base_url).netloc
    return asking.questions(details, host=host, folder_of=folder_of)


# Words, files, what became of them


def pairs(texts: Sequence[str], option: str, *, example: str = "--set lowest_note=40") -> dict[str, str]:
    """`key=value` texts as a dictionary. Raises WrongUse for what is none."""
    faulty = [text for text in texts if not text.partition("=")[0] or "=" not in text]
    if faulty:
        raise WrongUse(f"{option} takes key=value, not '{faulty[0]}'.", remedy=f"For example: {example}")
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


FILES = ("reference_audio_file",)
"""Parameters that name a file: seen from where the command is called, not from where the daemon runs."""


def _whole_paths(given: Mapping[str, str]) -> dict[str, str]:
    whole = {name: os.path.abspath(os.path.expanduser(given[name])) for name in FILES if given.get(name)}  # noqa: PTH100, PTH111
    return {**given, **{name: path for name, path in whole.items() if os.path.exists(path)}}  # noqa: PTH110


def _found(paths: Sequence[Path]) -> dict[Path, bool]:
    """Every audio file that `paths` mean, each once; True for those that were named themselves."""
    found: dict[Path, bool] = {}
    for path in paths:
        whole = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  resolve would follow links
        if whole.is_dir():
            for file in _audio_below(whole):
                found.setdefault(file, False)
        elif whole.is_file():
            found[whole] = True
        else:
            raise WrongUse("there is no such file or folder.", file=whole, remedy="Check the path.")
    if not found:
        raise WrongUse("there is no audio file in there.", file=paths[0], remedy="Name another folder.")
    return found


def _audio_below(folder: Path) -> list[Path]:
    """Audio files below `folder`, hidden ones and those in hidden folders left out, sorted."""
    return sorted(
        Path(place) / name
        for place, folders, names in _walk(folder)
        for name in names
        if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES
    )


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield place, folders, names


def _not_begun(wishes: Sequence[follow.Wish], outcomes: Outcomes) -> int:
    return len(wishes) - len(outcomes.details) - len(outcomes.refused)


def _tell(outcomes: Outcomes, connection: Connection, *, not_begun: int = 0, as_json: bool) -> int:
    if as_json:
        output.say_json(list(outcomes.details.values()))
    for detail in outcomes.details.values():
        _tell_job(detail, connection, as_json=as_json, stopped=outcomes.stopped)
    for error in outcomes.refused.values():
        output.tell_error(error)
    if outcomes.stopped:
        _tell_stopped(len(outcomes.open), not_begun, is_daemon=connection.is_daemon)
        return STOPPED_EXIT
    if not_begun:
        were = "1 more file was" if not_begun == 1 else f"{not_begun} more files were"
        output.note(f"{were} not begun because of that.")
    wrong_use = [error.exit_code for error in outcomes.refused.values()]
    return 0 if outcomes.all_done() else max(wrong_use, default=1)


def _tell_job(detail: Mapping[str, Any], connection: Connection, *, as_json: bool, stopped: bool) -> None:
    state = detail["state"]
    if state == "done" and not as_json:
        for line in describe.report(detail):
            output.say(line)
    for warning in describe.warnings_of(detail):
        output.note(f"Warning: {describe.bounce_names(detail)}: {warning}")
    if state == "done" or (stopped and describe.is_open(detail) and not describe.is_stuck(detail)):
        return
    output.note(describe.one_line(detail))
    if state == "needs_you":
        output.note(f"  Job {detail['id']} waits for your answer; nothing is sent before that.")
    elif describe.is_stuck(detail):
        again = "the running bridge goes on trying" if connection.is_daemon else "the next start tries again"
        output.note(f"  Nothing is lost: job {detail['id']} is in the journal, and {again}.")


def _tell_stopped(open_jobs: int, not_begun: int, *, is_daemon: bool) -> None:
    words = "Stopped."
    if open_jobs:
        jobs = "1 job is" if open_jobs == 1 else f"{open_jobs} jobs are"
        then = "the running bridge goes on" if is_daemon else "the next start goes on: bridge run"
        words += f" {jobs} in the journal, and {then}."
    if not_begun:
        words += f" Not begun: {not_begun} {'file' if not_begun == 1 else 'files'}."
    output.note(words)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the waiting as Ctrl-C does, so that everything is left in order."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
