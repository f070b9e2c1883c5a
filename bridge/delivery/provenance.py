"""The provenance file beside a bounce's results: what they come from, and what is known of the music."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import bridge
from bridge.jobs.model import TOGETHER, DeliveryState
from bridge.jobs.records import ArtifactRecord, ConversionRecord, JobDetail, JobRecord, PartRecord
from bridge.media.musical_context import MusicalContext
from bridge.media.notes import NOTES_MEDIA_TYPE, transcription_from_json

HEARD = ("material", "why", "quality")


def provenance(
    job: JobRecord,
    part: PartRecord,
    detail: JobDetail,
    context: MusicalContext,
    depends_on: Callable[[ConversionRecord], Mapping[str, str]],
) -> bytes:
    """The file's bytes: the same whenever it is written again."""
    of_all = any(one.part_id == part.id and one.kind == TOGETHER for one in detail.deliveries)
    conversions = [one for one in detail.conversions if of_all or one.part_id == part.id]
    delivered = [
        one for one in detail.deliveries if one.part_id == part.id and one.state is DeliveryState.DONE
    ]
    data = {
        "made_by": f"DAW Bridge {bridge.__version__}",
        "job": job.id,
        "preset": job.preset,
        "source": _source_facts(part),
        **context.to_json(),
        "conversions": [
            _conversion_facts(one, detail.artifacts) | {"depends_on": dict(depends_on(one))}
            for one in conversions
        ],
        "files": [
            {"name": one.final_path.name, "sha256": one.sha256, "note": one.note or ""}
            for one in delivered
            if one.final_path
        ],
        "bounced_at": _iso(part.closed_at),
        # Of what it speaks of, not of itself: so it is the same bytes when it is tried again.
        "delivered_at": _iso(max(one.ended_at or 0.0 for one in delivered)),
    }
    return (_text(data) + "\n").encode()


def _text(data: Mapping[str, Any]) -> str:
    """Indented, but lists of numbers and words on one line each."""
    return _PLAIN_LIST.sub(
        lambda one: " ".join(one[0].split()), json.dumps(data, indent=2, ensure_ascii=False)
    )


# A list of ours has a new line in it; what looks like one within a name has none.
_PLAIN_LIST = re.compile(
    r'\[\n\s+(?:(?:"[^"\\\s]*"|[-+.0-9eE]+|null),\s+)*(?:"[^"\\\s]*"|[-+.0-9eE]+|null)\s+\]'
)


def _source_facts(part: PartRecord) -> dict[str, Any]:
    assert part.source is not None
    return {
        "name": part.path.name,
        "samples_sha256": part.source.samples_sha256,
        "frames": part.source.frames,
        "channels": part.source.channels,
        "rate_hz": part.source.rate_hz,
        "warnings": list(part.warnings),
    }


def _conversion_facts(conversion: ConversionRecord, artifacts: Iterable[ArtifactRecord]) -> dict[str, Any]:
    made = [one for one in artifacts if one.conversion_id == conversion.id]
    return {
        "step": conversion.step,
        "conversion": conversion.conversion,
        "converter": conversion.converter,
        "parameters": conversion.parameters,
        "from_cache": conversion.cached,
        "artifacts": {one.role: one.sha256 for one in made},
        **_remote_facts(conversion, made),
        **_heard([one for one in made if one.media_type == NOTES_MEDIA_TYPE]),
    }


def _remote_facts(conversion: ConversionRecord, made: list[ArtifactRecord]) -> dict[str, Any]:
    """Its ticket and price, and how each result came: a lossy file says so."""
    facts: dict[str, Any] = {"came": {one.role: dict(one.about) for one in made if one.about}}
    if conversion.quote_usd is not None or conversion.cost_usd is not None:
        facts |= {
            "ticket": conversion.ticket,
            "quote_usd": conversion.quote_usd,
            "cost_usd": conversion.cost_usd,
        }
    return {name: value for name, value in facts.items() if value}


def _heard(notes: list[ArtifactRecord]) -> dict[str, Any]:
    """What was heard, and how sure each note is: start in seconds, pitch, confidence."""
    try:
        found = transcription_from_json(json.loads(notes[0].path.read_text(encoding="utf-8")))
    except (OSError, ValueError, IndexError):
        return {}  # The cache has lost it meanwhile, or there is none.
    rows = [[round(one.start_s, 6), one.pitch, round(one.confidence, 4)] for one in found.notes]
    about = {name: found.about[name] for name in HEARD if name in found.about}
    return {"heard": {**about, "notes": rows}}


def _iso(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
