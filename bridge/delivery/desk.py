"""Deliveries: from an artifact in the cache to a file in the project folder, exactly once.

A delivery that cannot be made now (disk full, drive unplugged, folder read-only) waits and is tried again by
itself, however long it takes. Nothing is ever overwritten.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bridge.clock import Clock
from bridge.crash_points import reach
from bridge.delivery.placing import (
    Choice,
    Content,
    NameTakenError,
    choose_name,
    discard,
    place,
    recover,
    temp_path,
)
from bridge.delivery.provenance import provenance
from bridge.delivery.render import file_name, render
from bridge.delivery.streaming import AFTER_RESTART, Streaming, is_playable, play_id
from bridge.delivery.together import Voice, common_name, render_together
from bridge.errors import BridgeError, DeliveryError, JournalError
from bridge.jobs import plan
from bridge.jobs.cache import file_sha256
from bridge.jobs.model import TOGETHER, DeliveryState, PlannedDelivery
from bridge.jobs.records import ArtifactRecord, ConversionRecord, DeliveryRecord, JobRecord, PartRecord
from bridge.jobs.store import Journal
from bridge.media import clues, heard_music
from bridge.media.musical_context import MusicalContext, Told
from bridge.presets import SOURCE, Preset

log = logging.getLogger(__name__)

D = DeliveryState

RETRY_AFTER_S = (2.0, 5.0, 10.0, 30.0, 60.0)
"""How long a delivery waits after its first, second … failure; the last one holds for all later ones."""


class DeliveryDesk:
    """Makes deliveries. `fingerprint` says what a converter's results depend on, for the provenance file."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        settings_bpm: float | None,
        fingerprint: Callable[[str, str], Mapping[str, str]],
        streaming: Streaming,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._settings_bpm = settings_bpm
        self._fingerprint = fingerprint
        self._streaming = streaming
        self._began = clock.wall()

    def handle(self, delivery: DeliveryRecord) -> None:
        """Takes one delivery as far as it goes. Raises StaleJobError when it was cancelled meanwhile."""
        if delivery.state is D.WAITING_RETRY:
            self._journal.move_delivery(delivery.id, D.WAITING_RETRY, D.PENDING)
            delivery = self._journal.delivery(delivery.id)
        try:
            self._deliver(delivery)
        except DeliveryError as error:
            self._wait(delivery, error)
        except OSError as error:
            self._wait(delivery, DeliveryError(f"it cannot be delivered: {error}."))
        except (JournalError, sqlite3.Error):
            raise
        except Exception as error:
            log.exception("delivery %d stumbled; it is tried again", delivery.id)
            words = f"it cannot be delivered: {type(error).__name__}: {error}."
            self._wait(delivery, DeliveryError(words, remedy="logs/bridge.log says where; please report it."))

    def play(self, job_id: int, role: str, how: Mapping[str, Any]) -> dict[str, str]:
        """Plays what came of a job (with `role`: only that); gives what plays, with a word on each.

        Raises DeliveryError where a result has gone from the cache.
        """
        detail = self._journal.detail(job_id)
        assert detail is not None, f"job {job_id} was looked up before"
        parts = {one.id: one for one in detail.parts}
        part_of = {one.id: parts[one.part_id] for one in detail.conversions}
        playable = [one for one in detail.artifacts if is_playable(one) and role in ("", one.role)]
        return {
            play_id(job_id, one.id): self._play(one, detail.job, part_of[one.conversion_id], how)
            for one in playable
        }

    def _play(
        self, artifact: ArtifactRecord, job: JobRecord, part: PartRecord, how: Mapping[str, Any]
    ) -> str:
        try:
            if not _is_whole(artifact):
                raise _result_lost()
            track = self._track_name(artifact, part)[1]
            return self._streaming.play(artifact, self.context(job, part), job.id, track, how)
        except ValueError:  # notes of another version of the bridge
            raise _result_lost() from None

    def _stream(self, delivery: DeliveryRecord) -> None:
        """A result is played as soon as it is there. After a restart it would come out of the blue."""
        assert delivery.artifact_id is not None
        artifact = self._journal.artifact(delivery.artifact_id)
        job, part = self._job(delivery), self._journal.part(delivery.part_id)
        how = delivery.settings.get("stream", {})
        try:
            late = job.created_at < self._began
            note = AFTER_RESTART if late else self._play(artifact, job, part, how)
        except DeliveryError as error:
            self._journal.move_delivery(delivery.id, delivery.state, D.FAILED, error=error)
            return
        self._journal.move_delivery(
            delivery.id,
            delivery.state,
            D.DONE,
            then=lambda: self._then(delivery),
            note=note,
        )

    def _deliver(self, delivery: DeliveryRecord) -> None:
        if delivery.kind == plan.STREAM:
            self._stream(delivery)
            return
        if delivery.state is D.WRITING and self._was_written(delivery):
            self._done(delivery, delivery.final_path, note=delivery.note)
            return
        if delivery.temp_path:
            discard(delivery.temp_path)  # of an earlier attempt whose disk went away
        job, part = self._job(delivery), self._journal.part(delivery.part_id)
        made = self._content(delivery, job, part)
        if made is None:
            self._journal.move_delivery(delivery.id, delivery.state, D.FAILED, error=_result_lost())
            return
        content, name, note = made
        state = delivery.state
        while True:
            choice = choose_name(job.project_folder, name, content)
            if choice.exists:
                self._done(delivery, choice.path, note=note, before=state, content=content)
                return
            temp = self._intend(delivery, state, choice, content, note)
            state = D.WRITING
            try:
                place(choice.path, temp, content, project_folder=job.project_folder)
            except NameTakenError:
                continue
            reach("delivery-after-rename")
            self._done(delivery, choice.path, note=note, before=state)
            reach("delivery-after-done")
            return

    def _was_written(self, delivery: DeliveryRecord) -> bool:
        assert delivery.final_path
        assert delivery.temp_path
        assert delivery.sha256
        return recover(delivery.final_path, delivery.temp_path, delivery.sha256, delivery.size or 0)

    def _intend(
        self, delivery: DeliveryRecord, state: DeliveryState, choice: Choice, content: Content, note: str
    ) -> Path:
        temp = temp_path(choice.path, delivery.id)
        reach("delivery-before-intent")
        self._journal.move_delivery(
            delivery.id,
            state,
            D.WRITING,
            final_path=str(choice.path),
            temp_path=str(temp),
            sha256=content.sha256,
            size=content.size,
            note=note,
        )
        reach("delivery-after-intent")
        return temp

    def _done(
        self,
        delivery: DeliveryRecord,
        path: Path | None,
        *,
        note: str | None,
        before: DeliveryState = D.WRITING,
        content: Content | None = None,
    ) -> None:
        assert path is not None
        stat = path.stat()
        fields: dict[str, Any] = {"final_path": str(path), "note": note}
        if content is not None:
            fields |= {"sha256": content.sha256}
            if delivery.final_path != path:
                fields |= {"temp_path": None}  # Not of our writing, also if we were about to.
        self._journal.move_delivery(
            delivery.id,
            before,
            D.DONE,
            then=lambda: self._then(delivery),
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            **fields,
        )

    def _then(self, delivery: DeliveryRecord) -> list[PlannedDelivery]:
        """The provenance file, once everything else of the part lies where it belongs.

        Where every file was there already, so was theirs.
        """
        if delivery.kind == plan.SIDECAR or not self._journal.part_is_settled(delivery.part_id):
            return []
        if not self._journal.part_has_written(delivery.part_id):
            return []
        preset = Preset.model_validate(self._job(delivery).preset_data)
        if self._awaits_one_file(preset, delivery):
            return []
        planned = plan.sidecar(preset)
        return [planned] if planned else []

    def _awaits_one_file(self, preset: Preset, delivery: DeliveryRecord) -> bool:
        """Whether the file of the whole job, which ends with this part's provenance, is still to come."""
        if not any(one.together for one in preset.deliver):
            return False
        detail = self._journal.detail(delivery.job_id)
        assert detail is not None
        return delivery.part_id == detail.parts[0].id and any(one.is_open for one in detail.conversions)

    def _wait(self, delivery: DeliveryRecord, error: BridgeError) -> None:
        current = self._journal.delivery(delivery.id)
        if not current.is_open:
            return  # cancelled meanwhile
        wait_s = RETRY_AFTER_S[min(current.attempt, len(RETRY_AFTER_S) - 1)]
        self._journal.move_delivery(
            delivery.id,
            current.state,
            D.WAITING_RETRY,
            error=error,
            attempt=current.attempt + 1,
            retry_at=self._clock.wall() + wait_s,
        )

    # What is delivered

    def _job(self, delivery: DeliveryRecord) -> JobRecord:
        job = self._journal.job(delivery.job_id)
        assert job is not None, f"delivery {delivery.id} belongs to a job"
        return job

    def _content(
        self, delivery: DeliveryRecord, job: JobRecord, part: PartRecord
    ) -> tuple[Content, Path, str] | None:
        """What is written, under which name, what to say about it. None: the cache has it no more."""
        if delivery.kind == TOGETHER:
            return self._together(delivery, job)
        context = self.context(job, part)
        fields = {"bounce": part.path.stem, "preset": job.preset}
        if delivery.kind == plan.SIDECAR:
            data = self._provenance(job, part, context)
            return Content.of_bytes(data), Path(f"{part.path.stem}.bridge.json"), ""
        assert delivery.artifact_id is not None
        artifact = self._journal.artifact(delivery.artifact_id)
        if not _is_whole(artifact):
            return None
        made_by = self._journal.conversion(artifact.conversion_id)
        fed_by, track = self._track_name(artifact, part)
        try:
            rendered = render(artifact, context, delivery.settings, track_name=track)
        except ValueError:  # notes of another version of the bridge
            return None
        fields |= {"role": artifact.role, "step": made_by.step, "from": fed_by, "ext": rendered.extension}
        return rendered.content, file_name(delivery.settings["pattern"], fields), rendered.note

    def _together(self, delivery: DeliveryRecord, job: JobRecord) -> tuple[Content, Path, str] | None:
        """What was heard in all stems and parts, as one file."""
        artifacts = [self._journal.artifact(one) for one in delivery.settings["artifacts"]]
        if not all(map(_is_whole, artifacts)):
            return None
        voices = [self._voice(one, job) for one in artifacts]
        name = common_name(list(dict.fromkeys(one.bounce for one in voices)))
        try:
            rendered = render_together(voices, delivery.settings, title=name)
        except ValueError:  # notes of another version of the bridge
            return None
        fields = {"bounce": name, "preset": job.preset, "role": "midi", "from": "all", "ext": "mid"}
        fields["step"] = self._journal.conversion(artifacts[0].conversion_id).step
        return rendered.content, file_name(delivery.settings["pattern"], fields), rendered.note

    def _voice(self, artifact: ArtifactRecord, job: JobRecord) -> Voice:
        part = self._journal.part(self._journal.conversion(artifact.conversion_id).part_id)
        fed_by, _ = self._track_name(artifact, part)
        role = "" if fed_by == SOURCE else fed_by
        return Voice(artifact, role, part.path.stem, self.context(job, part))

    def _track_name(self, artifact: ArtifactRecord, part: PartRecord) -> tuple[str, str]:
        """The role of what the result was made from, and what a track of its notes is called."""
        made_by = self._journal.conversion(artifact.conversion_id)
        if made_by.artifact_id is None:
            return SOURCE, part.path.stem
        role = self._journal.artifact(made_by.artifact_id).role
        return role, role

    def context(self, job: JobRecord, part: PartRecord) -> MusicalContext:
        """What is known about the music of this part."""
        preset = Preset.model_validate(job.preset_data)
        told = part.source.told if part.source else ()
        return clues.context_from(
            told,
            part.path,
            preset=preset.told(),
            settings_bpm=self._settings_bpm,
            heard=self._listened(part),
        )

    def _listened(self, part: PartRecord) -> Told | None:
        """What was found by listening, where somebody has listened."""
        found = self._journal.listened(part.id)
        try:
            return heard_music.told_of(json.loads(found.path.read_text(encoding="utf-8"))) if found else None
        except (OSError, ValueError):
            return None  # the cache has lost it since

    def _provenance(self, job: JobRecord, part: PartRecord, context: MusicalContext) -> bytes:
        detail = self._journal.detail(job.id)
        assert detail is not None
        return provenance(job, part, detail, context, self._depends_on)

    def _depends_on(self, conversion: ConversionRecord) -> dict[str, str]:
        try:
            return dict(self._fingerprint(conversion.converter, conversion.conversion))
        except (BridgeError, LookupError):
            return {}  # The model or the converter has gone since; the result is here all the same.


def _is_whole(artifact: ArtifactRecord) -> bool:
    try:
        return file_sha256(artifact.path) == artifact.sha256
    except FileNotFoundError:
        return False


def _result_lost() -> DeliveryError:
    return DeliveryError("the result is no longer usable in the cache.", remedy="Convert the bounce again.")
