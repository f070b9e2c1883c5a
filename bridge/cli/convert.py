"""`bridge convert` and `bridge retry`: work that is waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from bridge.cli import describe, follow, output
from bridge.cli.connection import Connection, connect
from bridge.cli.follow import Outcomes
from bridge.errors import WrongUse
from bridge.home import home
from bridge.media.audio_header import AUDIO_SUFFIXES

STOPPED_EXIT = 130


def convert(
    files: Sequence[Path], *, preset: str | None, to: Path | None, settings: Sequence[str], as_json: bool
) -> int:
    """Converts files and folders; the exit code is 0 only if every one is done."""
    overrides = pairs(settings, "--set")
    found = _found(files)
    wanted = {
        name: value
        for name, value in (
            ("preset", preset),
            ("to", str(to.expanduser().absolute()) if to else None),
            ("set", overrides or None),
        )
        if value is not None
    }
    wishes = follow.wishes_for(found, lambda file: wanted if found[file] else {**wanted, "batch": True})
    with _terminated_as_interrupted(), connect(home()) as connection:
        with follow.display(len(wishes)) as display:
            outcomes = follow.Follower(connection, display).convert(wishes)
        return _tell(outcomes, connection, not_begun=_not_begun(wishes, outcomes), as_json=as_json)


def retry(job: int | None, *, as_json: bool) -> int:
    """Tries a job again and waits for it."""
    with _terminated_as_interrupted(), connect(home()) as connection:
        with follow.display(1) as display:
            outcomes = follow.Follower(connection, display).retry({} if job is None else {"job": job})
        return _tell(outcomes, connection, as_json=as_json)


def pairs(texts: Sequence[str], option: str, *, example: str = "--set lowest_note=40") -> dict[str, str]:
    """`key=value` texts as a dictionary. Raises WrongUse for what is none."""
    faulty = [text for text in texts if not text.partition("=")[0] or "=" not in text]
    if faulty:
        raise WrongUse(f"{option} takes key=value, not '{faulty[0]}'.", remedy=f"For example: {example}")
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


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
    if describe.is_stuck(detail):
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
