"""The bodies of the API's answers: to a request, to byId, and of callbacks. Pure.

Where a result stands is said by `conversions/results.py`; what the documentation shows besides is said here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bridge.conversions.model import Conversion
from bridge.conversions.results import PLACES, Place
from bridge.server.compatible.answering import Made
from bridge.server.compatible.tickets import Status, Task

LinkTo = Callable[[Path], str]
Body = dict[str, Any]

EDITS = frozenset({"Remix", "extend", "inpaint", "sing_over_instrumental"})
"""Conversions whose first answer is the longest form of them."""
FLAGGED = frozenset({"MusicAI", "sing_over_vocal", *EDITS})
COSTS = frozenset({"VoiceChanger", "TextToSpeech", "Extraction", "denoise", "deecho", "dereverb"})
"""Conversions whose callback tells the charge."""

QUEUED = "Message published to queue"
_QUEUED: Mapping[str, str] = MappingProxyType(
    {
        "audio_to_midi": "MIDI conversion task queued successfully",
        "prompt_to_lyrics": "Lyrics generated successfully",
        **{name: f"{name} request submitted successfully" for name in EDITS},
    }
)
VARIANTS = (1, 2)


def is_pair(row: Conversion) -> bool:
    """Whether it makes two variants, each a conversion of its own."""
    return any(place.role == "take_1" for place in PLACES[row.name])


def type_of(row: Conversion) -> str:
    """What byId calls it; where the documentation names nothing, a name of the same kind."""
    return row.conversion_type or row.name.upper()


# The first answer


def submitted(task: Task, eta: int) -> Body:
    row = task.asked.conversion
    body: Body = {
        "success": True,
        "message": _QUEUED.get(row.name, QUEUED),
        "task_id": task.id,
        **_ids(task),
        "eta": eta,
        "credit_estimate": task.credit,
    }
    if row.name in FLAGGED:
        body |= {"is_flagged": False, "reason": ""}
    if row.name in EDITS:
        empty = ("error_message", "error_message_detail", "missing_input_fields", "predicted_user_intent")
        body |= dict.fromkeys(empty, "")
    if row.name in EDITS or not is_pair(row):
        body["status"] = "IN_QUEUE"
    return body


def at_once(task: Task) -> Body:
    """Of a conversion whose first answer is the result."""
    row = task.asked.conversion
    return {
        "success": True,
        "task_id": task.id,
        "message": _QUEUED.get(row.name, QUEUED),
        **_results(task, lambda _file: ""),
        "credit_estimate": task.credit,
    }


def _ids(task: Task) -> Body:
    if not is_pair(task.asked.conversion):
        return {"conversion_id": task.conversion_ids[0]}
    return {f"conversion_id_{number}": name for number, name in enumerate(task.conversion_ids, 1)}


# byId


def conversion(task: Task, status: Status, link: LinkTo) -> Body:
    row = task.asked.conversion
    body: Body = {
        "task_id": task.id,
        **_ids(task),
        "feature": type_of(row),
        "status": status,
        "message": _message(task, status),
        "webhook_url": task.webhook_url,
        "createdAt": _time(task.created_at),
        "updatedAt": _time(task.updated_at),
    }
    if status == "COMPLETED":
        body |= _results(task, link) | _titles(task) | _facts(task)
    return {"success": True, "conversion": body}


def _message(task: Task, status: Status) -> str:
    if status == "COMPLETED":
        return f"{task.asked.conversion.webhook_label or task.asked.conversion.title} Completed"
    return task.error or "" if status in ("FAILED", "ERROR") else ""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _titles(task: Task) -> Body:
    row = task.asked.conversion
    title = task.asked.parameters.get("title") or row.webhook_label or row.title
    if not is_pair(row):
        return {"title": title}
    return {f"title_{number}": title for number, _ in enumerate(task.conversion_ids, 1)}


def _facts(task: Task) -> Body:
    """The length of what came, and what it costs."""
    seconds = {made.role: round(made.seconds, 2) for made in task.made or () if made.seconds}
    body: Body = {"conversion_cost": task.credit}
    if is_pair(task.asked.conversion):
        roles = ((number, f"take_{number}") for number, _ in enumerate(task.conversion_ids, 1))
        return body | {f"conversion_duration_{number}": seconds.get(role, 0.0) for number, role in roles}
    if seconds:
        body["conversion_duration"] = next(iter(seconds.values()))
    return body


def _results(task: Task, link: LinkTo) -> Body:
    """Every result at its place."""
    made = {one.role: one for one in task.made or ()}
    body: Body = {}
    for place in PLACES[task.asked.conversion.name]:
        if place.form == "links":
            body |= _map_of_links(place, made, link)
        elif place.role in made:
            body |= _placed(place, made[place.role], link)
        elif place.form == "link":
            body[_main_key(place)] = ""
    return body


def _placed(place: Place, made: Made, link: LinkTo) -> Body:
    if place.form == "text":
        return {place.keys[0]: made.text}
    if place.form == "json":
        # The words' times of songs are JSON within a text, those of transcripts are not.
        as_text = place.keys[0].startswith("lyrics_timestamped")
        return {place.keys[0]: json.dumps(made.data) if as_text else made.data}
    body = {key: link(made.wav) if made.wav else "" for key in place.keys if _is_wav(key)}
    assert made.file is not None
    return {**body, _main_key(place): link(made.file)}


def _main_key(place: Place) -> str:
    """The key of the file itself; others of the place are older names, or of its WAV."""
    return next(key for key in place.keys if not _is_wav(key))


def _is_wav(key: str) -> bool:
    return "_wav" in key


def _map_of_links(place: Place, made: Mapping[str, Made], link: LinkTo) -> Body:
    """As JSON within a text. The documentation's samples of WAV addresses hold the MP3s too."""
    links = json.dumps({role: link(one.file) for role, one in made.items() if one.file})
    wav = next(key for key in place.keys if _is_wav(key))
    return {wav: links, _main_key(place): links}


# Callbacks


def callbacks(task: Task, link: LinkTo) -> Iterator[Body]:
    """Every callback of a task that is over, in the order of their sending."""
    row = task.asked.conversion
    head: Body = {
        "success": task.error is None,
        "conversion_type": row.webhook_label or row.title,
        "task_id": task.id,
    }
    if task.error is not None:
        for name in task.conversion_ids:
            yield {**head, "conversion_id": name, "reason": task.error, "status_msg": task.error}
    elif is_pair(row):
        yield from _pair_callbacks(task, head, link)
    else:
        yield {**head, **_single(task, link)}


def _single(task: Task, link: LinkTo) -> Body:
    row = task.asked.conversion
    facts = _facts(task)
    cost = str(facts.pop("conversion_cost"))
    return {
        "conversion_id": task.conversion_ids[0],
        **_results(task, link),
        **facts,
        **({"conversion_cost": cost} if row.name in COSTS else {}),
        "message": _message(task, "COMPLETED"),
        **_titles(task),
    }


def _pair_callbacks(task: Task, head: Body, link: LinkTo) -> Iterator[Body]:
    """One for each take, one for its words' times, one for the cover; keys have no number there."""
    whole = {**_results(task, link), **_titles(task), **_facts(task)}
    subtype = type_of(task.asked.conversion).lower()
    made = {one.role: one for one in task.made or ()}
    for number, name in enumerate(task.conversion_ids, 1):
        own = {key.removesuffix(f"_{number}"): whole[key] for key in whole if key.endswith(f"_{number}")}
        take = {**head, "conversion_id": name, **own, "is_flagged": False, "reason": "", "subtype": subtype}
        yield {**take, "album_cover_path": whole.get("album_cover_path", "")}
        if f"lyrics_times_{number}" in made:
            words = json.dumps(made[f"lyrics_times_{number}"].data)
            times = {"lyrics_timestamped": words, "subtype": "lyrics_timestamped"}
            yield {**head, "conversion_id": name, **times}
    if (cover := made.get("cover")) and cover.file:
        yield {**head, **_ids(task), **_cover(link(cover.file))}


def _cover(address: str) -> Body:
    return {
        "subtype": "album_cover_generation",
        "image_paths": [address],
        "thumbnail_paths": [address],
        "image_path": address,
        "thumbnail_path": address,
        "album_cover_generator_output": True,
    }
