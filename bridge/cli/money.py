"""`login`, `logout`, `allow`, `spend`: the key, what may be sent, and what it came to."""

from __future__ import annotations

import getpass
import os
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.cli import output
from bridge.cli.connection import daemon_at
from bridge.cli.reading import journal_views
from bridge.config import MusicGPTSettings, is_private, load, may_upload
from bridge.errors import WrongUse
from bridge.home import home
from bridge.jobs.budget import day_began, usd_words
from bridge.jobs.records import SpendRecord, plain
from bridge.keys import VARIABLE, KeyRing, checked, masked

DAY_S = 86_400.0
LONGEST_KEY = 4096


# The key


def login(*, from_stdin: bool) -> int:
    """Asks for the key without showing it, and puts it into the keyring. Raises NoKey."""
    ring = KeyRing({})
    ring.backend_name()  # so that nobody types it in vain
    key = checked(_from_stdin() if from_stdin else _typed())
    kept = ring.store(key)
    output.say(f"The key {masked(key)} is kept in {kept.what}.")
    if os.environ.get(VARIABLE, "").strip():
        output.note(f"The variable {VARIABLE} is set here, and wins over it.")
    return 0


def _typed() -> str:
    if not sys.stdin.isatty():
        raise WrongUse("there is no terminal to ask for the key.", remedy="Pipe it: bridge login --stdin")
    return getpass.getpass("Your MusicGPT key (it is not shown): ")


def _from_stdin() -> str:
    return sys.stdin.readline(LONGEST_KEY)


def logout() -> int:
    """Takes the key out of the keyring. Raises NoKey where there is no keyring."""
    there = KeyRing({}).forget()
    output.say("The key is taken out of the keyring." if there else "There was no key in the keyring.")
    if os.environ.get(VARIABLE, "").strip():
        output.note(f"The variable {VARIABLE} is still set here.")
    return 0


# What may be sent


def allow(folder: Path, *, as_json: bool) -> int:
    """Audio of the folder and those below it may be sent to MusicGPT from now on."""
    whole = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100  resolve would follow links
    if not whole.is_dir():
        raise WrongUse("there is no such folder.", file=whole, remedy="Name the folder of your bounces.")
    _check_settings(whole)
    daemon = daemon_at(home())
    if daemon is not None:
        released = int(daemon.act("allow_upload", {"folder": str(whole)})["released"])
    else:
        released = _allow_in_journal(whole)
    if as_json:
        output.say_json({"folder": str(whole), "released": released})
        return 0
    output.say(f"Audio of {whole} and the folders below it may be sent to MusicGPT from now on.")
    if released:
        goes = "1 conversion that waited for that goes" if released == 1 else f"{released} conversions go"
        when = "now" if daemon else "with the next start: bridge run"
        output.say(f"{goes} on {when}.")
    return 0


def _check_settings(folder: Path) -> None:
    """Raises WrongUse where config.toml says no, which holds whatever is said here."""
    settings = load(home())
    if is_private(settings, folder):
        said = "private = true"
    elif may_upload(settings, folder) == "never":
        said = 'upload = "never", or consent = "never",'
    else:
        return
    raise WrongUse(
        f"{said} stands in config.toml, so nothing of this folder is sent.",
        file=folder,
        remedy="Take that out of config.toml first.",
    )


def _allow_in_journal(folder: Path) -> int:
    """Without a running bridge: only a note is made, and nothing begins that this command would cut off."""
    from bridge.jobs.store import JOURNAL_NAME, Journal
    from bridge.owner import Ownership

    owner = Ownership(home())
    owner.take()
    try:
        with closing(Journal(home() / JOURNAL_NAME)) as journal:
            return journal.allow_upload(folder)
    finally:
        owner.release()


# What it came to


def spend(*, days: int, as_json: bool) -> int:
    """What was paid, by day, project and conversion; what is open; how much the caps leave."""
    settings = load(home()).musicgpt
    now = time.time()
    # From noon to noon: days that are an hour longer or shorter do not matter.
    records = _spent(day_began(day_began(now) + DAY_S / 2 - (days - 1) * DAY_S))
    if as_json:
        output.say_json(_spend_data(records, settings, days, now))
        return 0
    if records:
        output.table(("day", "project", "conversion", "times", "dollars", ""), _rows(records))
    else:
        output.say("Nothing was spent." if days == 1 else f"Nothing was spent in the last {days} days.")
    for line in (*_open_lines(records), *_cap_lines(records, settings, now)):
        output.say(line)
    return 0


def _spent(since: float) -> list[SpendRecord]:
    with journal_views() as journal:
        try:
            return journal.spend(since) if journal else []
        except sqlite3.OperationalError:
            return []  # a bridge that knew no prices wrote this journal; the next start brings it up to date


def _counts(records: Sequence[SpendRecord]) -> float:
    return sum(one.usd for one in records if one.state != "free")


def _day(record: SpendRecord) -> str:
    return datetime.fromtimestamp(record.at).astimezone().strftime("%Y-%m-%d")


def _rows(records: Sequence[SpendRecord]) -> Iterator[tuple[str, ...]]:
    """One row for each day, project and conversion, the newest day first, and the sum."""
    groups: dict[tuple[str, str, str], list[SpendRecord]] = defaultdict(list)
    for one in records:
        groups[_day(one), str(one.project_folder), one.conversion].append(one)
    for (day, project, conversion), group in sorted(groups.items(), key=lambda one: one[0][0], reverse=True):
        yield day, project, conversion, _times(group), usd_words(_counts(group)), _remarks(group)
    yield "", "", "in all", _times(records), usd_words(_counts(records)), ""


def _times(records: Sequence[SpendRecord]) -> str:
    """How often it was sent, as far as anybody knows."""
    return str(sum(one.state != "free" for one in records))


REMARKS: tuple[tuple[str, str], ...] = (
    ("open", "{n} under way"),
    ("unknown", "{n} not known"),
    ("free", "{n} more not accepted, free"),
)
"""What is said of entries in these states; of those that are charged nothing is."""


def _remarks(group: Sequence[SpendRecord]) -> str:
    counts = {state: sum(one.state == state for one in group) for state, _ in REMARKS}
    told = [words.format(n=counts[state]) for state, words in REMARKS if counts[state]]
    told += ["price not known"] if any(one.basis == "not known" for one in group) else []
    return ", ".join(told)


def _open_lines(records: Sequence[SpendRecord]) -> Iterator[str]:
    for one in records:
        ticket = f", ticket {one.ticket}" if one.ticket else ""
        if one.state == "open":
            yield f"Under way: {one.conversion} of job {one.job_id}, {usd_words(one.usd)}{ticket}"
        elif one.state == "unknown":
            yield (
                f"Not known whether it was charged, so it counts: {one.conversion} of job {one.job_id},"
                f" {usd_words(one.usd)}{ticket} (`bridge show {one.job_id}`)"
            )


def _cap_lines(records: Sequence[SpendRecord], settings: MusicGPTSettings, now: float) -> Iterator[str]:
    today = _counts([one for one in records if one.at >= day_began(now)])
    day, project, conversion = map(
        usd_words, (settings.cap_day_usd, settings.cap_project_usd, settings.cap_conversion_usd)
    )
    yield f"Today {usd_words(today)} of {day}; other caps: {project} a project, {conversion} a conversion."


def _spend_data(
    records: Sequence[SpendRecord], settings: MusicGPTSettings, days: int, now: float
) -> Mapping[str, Any]:
    caps = ("cap_day_usd", "cap_project_usd", "cap_conversion_usd")
    return {
        "days": days,
        "usd": _counts(records),
        "today_usd": _counts([one for one in records if one.at >= day_began(now)]),
        "caps": {name: getattr(settings, name) for name in caps},
        "entries": [plain(one) for one in records],
    }
