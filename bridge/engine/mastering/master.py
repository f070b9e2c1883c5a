"""The local `audio_mastering`: a mix at the loudness, the peaks and the tone of a finished record.

The samples are read three times at most before they are written: for their tone, for the filter and the
meters, and with the gains on them. What was written is measured again; where it is off, the gains are
corrected and it is written once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.editing.writing import target_of, write_as
from bridge.engine.fitting_passes import laid
from bridge.engine.mastering import tone
from bridge.engine.mastering.dynamics import (
    GLUE_RATIO,
    Level,
    Loudener,
    glue,
    glue_ratio,
    no_glue,
)
from bridge.engine.mastering.loudness import Grid, Measured, Meter, Numbers, Singles, channel_weights, singles
from bridge.engine.mastering.spectrum import STEREO, Analyser, Spectrum
from bridge.engine.reading import told_blocks
from bridge.engine.windows import in_blocks
from bridge.errors import AudioError, WrongUse
from bridge.media.audio_files import expected_samples
from bridge.media.audio_format import AudioFormat
from bridge.media.raw_pcm import Samples
from bridge.media.sample_spool import Spool
from bridge.media.whole_files import told_of_writing

NAME: Final = "master"
USUAL_LUFS: Final = -14.0
TRIES: Final = 3
LOUDNESS_OFF_LU, PEAK_OFF_DB = 0.1, 0.02
RENDERED_GRAINS: Final = 2048
ONLY_WRITTEN: Final = frozenset({"webm"})
SHOWN_DB, TOLD_OFF_DB = 0.05, 0.1
SHORT: Final = "shorter than 0.4 s, so it has no loudness: only its peaks were looked after"
SILENT: Final = "nothing is heard in it, so it is as it was"


@dataclass(frozen=True)
class Asked:
    """The parameters, checked. `loudness_lufs` None: the reference's, or the usual."""

    reference: Path | None
    loudness_lufs: float | None
    true_peak_dbtp: float
    has_tone: bool
    extension: str

    @classmethod
    def of(cls, job: AudioJob) -> Asked:
        """Raises WrongUse."""
        parameters = job.parameters
        target_of(parameters["output_extension"])
        reference = parameters.get("reference_audio_file")
        path = Path(reference).expanduser() if reference else None
        if path is not None and not (path.is_absolute() and path.is_file()):
            words = f"reference_audio_file: there is no file {path}."
            raise WrongUse(
                words, remedy="Give the whole path of a track on this machine, or none.", file=path
            )
        loudness = parameters.get("loudness")
        return cls(
            path,
            None if loudness is None else float(loudness),
            float(parameters["true_peak"]),
            bool(parameters["tone"]),
            parameters["output_extension"],
        )


@dataclass(frozen=True)
class Model:
    """The track that it shall sound like."""

    measured: Measured
    spectrum: Spectrum

    @property
    def loudness_lufs(self) -> float:
        assert self.measured.loudness_lufs is not None
        return self.measured.loudness_lufs


def master(job: AudioJob) -> list[Row]:
    """The task: the source as `master`, on its own frames. Raises AudioError, WrongUse."""
    asked, own = Asked.of(job), AudioFormat.of(job.source)
    model = _model(job.stage(0.0, 0.15), asked.reference) if asked.reference else None
    with ExitStack() as stack:
        with told_of_writing(job.folder):
            spool = Spool(job.folder, own.channels, None, stack)
        curves = _curves(job.stage(0.15, 0.3), own, model) if asked.has_tone else None
        measured = _shaped(job.stage(0.3, 0.6), own, curves, spool)
        sound = Sound(job.stage(0.6, 1.0), own, asked, spool, measured)
        row = _peaks_only(sound) if measured.loudness_lufs is None else _as_loud(sound, model)
    job.progress(1.0, "done")
    return [row]


def _model(job: AudioJob, path: Path) -> Model:
    """Raises AudioError, with the reference's name."""
    try:
        own = AudioFormat.of(path)
        meter, analyser = _meter(own), Analyser(own.rate_hz, own.channels)
        for block in analyser.through(_read(job, path, own, "hearing the reference")):
            meter.add(block)
    except AudioError as fault:
        words = f"the reference {path.name} cannot be used: {fault.message}"
        raise AudioError(words, remedy="Take another track as the reference.", file=path) from fault
    measured = meter.finish()
    if measured.loudness_lufs is None:
        words = "nothing can be measured in the reference: it is silent, or shorter than 0.4 s."
        raise AudioError(words, remedy="Take another track as the reference.", file=path)
    return Model(measured, analyser.finish())


def _meter(own: AudioFormat) -> Meter:
    return Meter(Grid.of(own.rate_hz), _weights(own))


def _weights(own: AudioFormat) -> Numbers:
    described = own.chunks.sample_format if own.chunks is not None else None
    return channel_weights(own.channels, described.channel_mask if described is not None else 0)


def _read(job: AudioJob, path: Path, own: AudioFormat, doing: str) -> Iterator[Samples]:
    """The file's own samples; what is no number is silence."""
    blocks = laid(path, job.check, rate_hz=own.rate_hz)
    for block in told_blocks(blocks, expected_samples(path, own.rate_hz), job.progress, doing):
        yield np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)


def _curves(job: AudioJob, own: AudioFormat, model: Model | None) -> tone.Curves | None:
    """None where there is too little to hear a tone in."""
    analyser = Analyser(own.rate_hz, own.channels)
    heard = analyser.through(_read(job, job.source, own, "hearing the tone"))
    if sum(len(block) for block in heard) < Grid.of(own.rate_hz).block:
        return None
    spectrum = analyser.finish()
    return tone.toward_reference(spectrum, model.spectrum) if model else tone.toward_neutral(spectrum)


def _shaped(job: AudioJob, own: AudioFormat, curves: tone.Curves | None, spool: Spool) -> Measured:
    """Puts the sound with the curves on it into the spool, measured."""
    meter = _meter(own)
    blocks = _read(job, job.source, own, "shaping the tone" if curves else "measuring")
    if curves is not None:
        blocks = tone.filtered(blocks, curves, own.rate_hz, own.channels)
    for block in meter.through(blocks):
        with told_of_writing(job.folder):
            spool.add(block)
    return meter.finish()


# What is written


@dataclass(frozen=True)
class Sound:
    """The shaped sound, ready for its gains."""

    job: AudioJob
    own: AudioFormat
    asked: Asked
    spool: Spool
    measured: Measured

    def written(self, edges_db: Singles, *, is_changed: bool = True) -> tuple[Row, Measured]:
        """Writes it with these gains (one an edge between grains), and measures what stands in the file.

        What was given to the coder is measured instead, where the bridge does not read the format.
        """
        job, given = self.job.stage(0.1, 0.6), _meter(self.own)
        blocks = self._with_gains(job, edges_db)
        is_read = self.asked.extension not in ONLY_WRITTEN
        row = write_as(
            job,
            self.own,
            blocks if is_read else given.through(blocks),
            name=NAME,
            extension=self.asked.extension,
            rate_hz=self.own.rate_hz,
            is_changed=is_changed,
        )
        if not is_read:
            return row, given.finish()
        path = job.folder / row["file"]
        made = AudioFormat.of(path)
        meter = Meter(Grid.of(made.rate_hz), _weights(self.own))
        for block in _read(self.job.stage(0.6, 1.0), path, made, "measuring the result"):
            meter.add(block)
        return row, meter.finish()

    def _with_gains(self, job: AudioJob, edges_db: Singles) -> Iterator[Samples]:
        grain, frames = self.measured.grid.grain, self.spool.frames
        edges = np.power(10, edges_db / 20, dtype=np.float32)
        along = (np.arange(grain, dtype=np.float32) / np.float32(grain))[np.newaxis, :]
        blocks = (singles(block) for block in self.spool.blocks(frames, job.check))
        at = 0
        for block in in_blocks(blocks, RENDERED_GRAINS * grain):
            count = -(-len(block) // grain)
            left, right = edges[at : at + count, np.newaxis], edges[at + 1 : at + count + 1, np.newaxis]
            gains = (left + (right - left) * along).reshape(-1)[: len(block)]
            yield block * gains[:, np.newaxis]
            at += count
            job.progress(at * grain / frames, "writing")


def _peaks_only(sound: Sound) -> Row:
    """For what has no loudness: turned down where it is beyond its peak, else as it is."""
    peak = sound.measured.true_peak_dbtp
    gain = min(0.0, sound.asked.true_peak_dbtp - PEAK_OFF_DB - peak) if peak is not None else 0.0
    row, made = sound.written(no_glue(sound.measured) + np.float32(gain), is_changed=gain < 0)
    is_short = sound.measured.frames < sound.measured.grid.block
    return _told(row, made, Level(gain, np.zeros(0, np.float32), 0.0), [SHORT if is_short else SILENT])


def _as_loud(sound: Sound, model: Model | None) -> Row:
    """Written until the file measures as it shall, at most TRIES times."""
    asked, measured = sound.asked, sound.measured
    target = asked.loudness_lufs
    if target is None:
        target = model.loudness_lufs if model else USUAL_LUFS
    ratio = glue_ratio(measured, model.measured) if model else GLUE_RATIO
    glued = glue(measured, ratio) if asked.has_tone else no_glue(measured)
    aim_lufs, aim_dbtp = target, asked.true_peak_dbtp - PEAK_OFF_DB
    for number in range(TRIES):
        now = replace(sound, job=sound.job.stage(number / TRIES, 1.0))
        now.job.progress(0.0, "setting the level")
        loudener = Loudener(measured, glued, aim_dbtp, sound.job.check)
        level = loudener.level(aim_lufs)
        row, made = now.written(loudener.edges_db(level))
        louder = (made.loudness_lufs if made.loudness_lufs is not None else target) - target
        higher = (made.true_peak_dbtp or aim_dbtp) - asked.true_peak_dbtp
        is_loud = abs(louder) <= LOUDNESS_OFF_LU or (louder < 0 and level.too != "")
        if is_loud and higher <= PEAK_OFF_DB:
            break
        aim_lufs -= 0.0 if is_loud else louder
        aim_dbtp -= higher + PEAK_OFF_DB if higher > PEAK_OFF_DB else 0.0
    return _told(row, made, level, _words(sound, made, level, target))


def _words(sound: Sound, made: Measured, level: Level, target: float) -> list[str]:
    words = [f"{abs(level.gain_db):.1f} dB {'louder' if level.gain_db >= 0 else 'quieter'}"]
    if level.limited_db >= SHOWN_DB:
        words.append(f"limited by {level.limited_db:.1f} dB at most")
    if level.too:
        words.append(f"the mix is too {level.too} for {target:.1f} LUFS")
    if (made.true_peak_dbtp or 0.0) > sound.asked.true_peak_dbtp + TOLD_OFF_DB:
        words.append(f"{sound.asked.extension} raised the peaks")
    if sound.asked.extension in ONLY_WRITTEN:
        words.append("measured before coding")
    if sound.own.channels > STEREO:
        is_weighted = len(set(_weights(sound.own))) > 1
        words.append("measured as surround" if is_weighted else "all channels count alike")
    return words


def _told(row: Row, made: Measured, level: Level, words: list[str]) -> Row:
    """The row with what was measured, and what the writing had to say."""
    loudness, peak = made.loudness_lufs, made.true_peak_dbtp
    figures = [f"{loudness:.1f} LUFS"] if loudness is not None else []
    figures += [f"{peak:.1f} dBTP"] if peak is not None else []
    more = row["about"].get("note")
    notes = [", ".join(figures), ", ".join(words), more]
    about: dict[str, Any] = {
        "quality": "good",
        "loudness_lufs": None if loudness is None else round(loudness, 2),
        "true_peak_dbtp": None if peak is None else round(peak, 2),
        "gain_db": round(level.gain_db, 2),
        "limited_db": round(level.limited_db, 2),
        "note": "; ".join(note for note in notes if note),
    }
    return {**row, "about": {**row["about"], **about}}
