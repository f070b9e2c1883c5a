"""Jobs in a musician's words. Pure: works on a job's detail as plain data, as `--json` and HTTP give it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError, from_json

Detail = Mapping[str, Any]

ENDED = frozenset({"done", "failed", "cancelled"})


def is_open(detail: Detail) -> bool:
    return detail["state"] not in ENDED


def is_stuck(detail: Detail) -> bool:
    """True when the job goes on only later, or only with the musician: nobody should sit and wait for it."""
    if detail["state"] == "needs_you" or any(map(_waits_for_a_twin, detail["conversions"])):
        return True
    if detail["state"] != "waiting":
        return False
    delivery_waits = any(map(_waits, detail["deliveries"]))
    conversion_waits = any(_waits(one) and one["attempt"] >= PATIENCE for one in detail["conversions"])
    return delivery_waits or conversion_waits


def _waits_for_a_twin(row: Mapping[str, Any]) -> bool:
    """The very same stands in another job, and does not go on without the musician."""
    return row["state"] == "queued" and bool(row["error"]) and row["error"]["code"] == "same-under-way"


def _waits(row: Mapping[str, Any]) -> bool:
    # Without a time it is about to be tried: somebody has asked for that.
    return row["state"] == "waiting_retry" and row["retry_at"] is not None


PATIENCE = 3
"""Attempts of a conversion that are waited for."""


def bounce_names(detail: Detail) -> str:
    """The file, or how many it was."""
    names = [Path(part["path"]).name for part in detail["parts"]] or [f"job {detail['id']}"]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def delivered(detail: Detail) -> list[Mapping[str, Any]]:
    """Deliveries that lie where they belong, results before provenance files."""
    done = [one for one in detail["deliveries"] if one["state"] == "done" and one["final_path"]]
    return sorted(done, key=lambda one: (one["kind"] == "sidecar", one["id"]))


def results(detail: Detail) -> list[Mapping[str, Any]]:
    """As `delivered`, without provenance files."""
    return [one for one in delivered(detail) if one["kind"] != "sidecar"]


def streamed(detail: Detail) -> list[str]:
    """What became of the results that were to be played, each word once."""
    ended = (one for one in detail["deliveries"] if one["kind"] == "stream" and one["state"] == "done")
    return list(dict.fromkeys(str(one["note"]) for one in ended if one["note"]))


def errors_of(detail: Detail) -> list[BridgeError]:
    """Every error that the job carries, each once; what hindered one that was cancelled hinders no more."""
    if detail["state"] == "cancelled":
        return []
    rows = (*detail["parts"], *detail["conversions"], *detail["deliveries"])
    told = [row["error"] for row in rows if row.get("error")]
    unique = {str(sorted(one.items(), key=str)): one for one in told}
    return [from_json(one) for one in unique.values()]


def warnings_of(detail: Detail) -> list[str]:
    return [warning for part in detail["parts"] for warning in part["warnings"]]


def took_s(detail: Detail) -> float | None:
    """From the last write to the bounce until its last result was there, in seconds."""
    ends = [one["ended_at"] for one in results(detail) if one["ended_at"]]
    closes = [part["closed_at"] for part in detail["parts"] if part["closed_at"]]
    return max(ends) - max(closes) if ends and closes else None


def one_line(detail: Detail) -> str:
    """What became of the job, for `bridge run`: `loop.wav → loop_midi.mid  34 notes, …, 0.9 s`."""
    name = bounce_names(detail)
    if detail["state"] == "done":
        there, played = results(detail), streamed(detail)
        names = ", ".join([Path(one["final_path"]).name for one in there] + played) or "no results"
        facts = notes_in_short(there)
        seconds = took_s(detail)
        if seconds is not None and detail["trigger"] == "folder":
            facts.append(f"{seconds:.1f} s")
        return f"{name} → {names}" + (f"  {', '.join(facts)}" if facts else "")
    why = "; ".join(why_and_remedy(error, detail["id"]) for error in errors_of(detail))
    return f"{name}: {WORDS.get(detail['state'], detail['state'])}" + (f": {why}" if why else "")


def results_in_short(detail: Detail) -> str:
    """`song_bass.wav, song_drums.wav and 3 more`, and what holds for them."""
    there = results(detail)
    names = [Path(one["final_path"]).name for one in there]
    more = len(names) - FEW
    told = ", ".join(names[:FEW]) + (f" and {more} more" if more > 0 else "")
    return "  ".join([told, *filter(None, [", ".join(notes_in_short(there))])])


def notes_in_short(there: Sequence[Mapping[str, Any]]) -> list[str]:
    """The notes of results, each once; none where they are too many to tell whose each one is."""
    notes = list(dict.fromkeys(one["note"] for one in there if one["note"]))
    return notes if len(notes) <= FEW else []


FEW = 2


def one_part_each(detail: Detail) -> Iterator[tuple[tuple[Any, ...], str]]:
    """`one_line` for each part of a job that is done, each with a key that changes when it is delivered anew.

    Stems come in one after the other, and each is told when it is there, not all of them again.
    """
    for part in detail["parts"]:
        own = [one for one in detail["deliveries"] if one["part_id"] == part["id"]]
        if not own and any(one["kind"] == "together" for one in detail["deliveries"]):
            continue  # its notes are in the one file, which stands with the first part
        line = one_line({**detail, "parts": [part], "deliveries": own})
        yield (part["id"], *((one["id"], one["ended_at"]) for one in own)), line


def why_and_remedy(error: BridgeError, job_id: int) -> str:
    """What happened and what to do, without the file: for a line that has named it."""
    return str(BridgeError(error.message, remedy=error.remedy)).replace("retry JOB`", f"retry {job_id}`")


WORDS = {
    "queued": "in the queue",
    "running": "at work",
    "waiting": "waiting",
    "needs_you": "needs you",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}


def report(detail: Detail) -> Iterator[str]:
    """What `bridge convert` prints of a job that has ended well: where everything lies."""
    name = bounce_names(detail)
    for one in results(detail):
        yield f"{name} → {one['final_path']}" + (f"  {one['note']}" if one["note"] else "")
    for word in streamed(detail):
        yield f"{name}: {word}"
    if not results(detail) and not streamed(detail):
        yield f"{name}: {WORDS.get(detail['state'], detail['state'])}, no results"


def ports_in_words(own: Sequence[str], playing_to: Sequence[str], listening: Sequence[str]) -> str:
    """The MIDI ports that the bridge has open."""
    rows = (
        ("own ports", own, "none"),
        ("also plays to", playing_to, ""),
        ("listens to", listening, "no controller yet"),
    )
    return "; ".join(f"{what} {', '.join(names) or none}" for what, names, none in rows if names or none)
