"""The table's rows of small tools: notes, key and tempo, cutting, speed, mastering, formats."""

from __future__ import annotations

from typing import get_args

from bridge.conversions.model import Conversion, Parameter, Result, frozen
from bridge.conversions.parts import (
    AUDIO_URL,
    EXTENSIONS,
    HOURS_S,
    ONLY_LOCAL,
    ONLY_MUSICGPT,
    OUTPUT_EXTENSION,
    TRIM_SILENCE,
    per_minute,
    switch,
)
from bridge.media.notes import Material, PitchBends

_CUT_AND_MASTER = per_minute((0.003, 0.003), (0.004, 0.004), (0.008, 0.008))

AUDIO_TO_MIDI = Conversion(
    name="audio_to_midi",
    title="Audio to MIDI",
    about="Writes down the notes that are played, as a MIDI file.",
    version="v1",
    conversion_type="AUDIO_TO_MIDI",
    category="audio_utilities",
    max_input_s=frozen(musicgpt=480.0, local=HOURS_S),
    parameters=(
        AUDIO_URL,
        switch("sonify_midi", "Also render the notes to a WAV.", on=True),
        switch("save_note_events", "Also write the notes as a CSV.", on=True),
        Parameter(
            "material",
            "text",
            "auto",
            "What plays; auto hears it by itself, and says so.",
            only=ONLY_LOCAL,
            choices=("auto", *get_args(Material)),
        ),
        Parameter(
            "quality",
            "text",
            "good",
            "best takes longer (piano: another network, fetched when first used).",
            only=ONLY_LOCAL,
            choices=("good", "best"),
        ),
        Parameter(
            "pitch_bends",
            "text",
            "off",
            "Bends and vibrato in the MIDI: none, a channel for each bent note, or MPE.",
            only=ONLY_LOCAL,
            choices=get_args(PitchBends),
        ),
        Parameter(
            "onset_threshold",
            "float",
            None,
            "How sure a note's beginning must be; lower finds more. By itself: what suits the material.",
            low=0.05,
            high=0.95,
            only=ONLY_LOCAL,
        ),
        Parameter(
            "frame_threshold",
            "float",
            None,
            "How sure a sounding note must be to go on; lower makes longer notes.",
            low=0.05,
            high=0.95,
            only=ONLY_LOCAL,
        ),
        Parameter(
            "minimum_note_ms",
            "float",
            None,
            "Shorter notes are left out.",
            unit="ms",
            low=0.0,
            high=2000.0,
            only=ONLY_LOCAL,
        ),
        Parameter(
            "lowest_note",
            "int",
            None,
            "Lower notes are left out.",
            unit="MIDI note",
            low=21,
            high=108,
            only=ONLY_LOCAL,
            not_above="highest_note",
        ),
        Parameter(
            "highest_note",
            "int",
            None,
            "Higher notes are left out.",
            unit="MIDI note",
            low=21,
            high=108,
            only=ONLY_LOCAL,
        ),
        Parameter(
            "remove_ghosts",
            "bool",
            None,
            "Leave out weak notes that are the overtones of a strong one.",
            only=ONLY_LOCAL,
        ),
        TRIM_SILENCE,
    ),
    results=(
        Result("midi", "mid", "The notes."),
        Result("sonified", "wav", "The notes, rendered to audio.", when="sonify_midi"),
        Result("note_events", "csv", "The notes, one a line.", when="save_note_events"),
    ),
    tiers={"": per_minute((0.005, 0.0037), (0.007, 0.005), (0.014, 0.01))},
    quality=frozen(local="good", musicgpt="good"),
    of_samples=True,
    webhook_label="Audio To MIDI",
)

FILE_CONVERT = Conversion(
    name="file_convert",
    title="Convert the format",
    about="The same audio in another format, such as an MP3 for the band.",
    version="v1",
    conversion_type="FILE_CONVERT",
    category="audio_utilities",
    max_input_s=frozen(musicgpt=480.0, local=HOURS_S),
    parameters=(
        AUDIO_URL,
        Parameter("target_format", "text", None, "The format.", required=True, choices=EXTENSIONS),
        Parameter(
            "target_sr",
            "int",
            44100,
            "The sample rate.",
            unit="Hz",
            choices=(8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000),
        ),
        Parameter(
            "target_bit_depth",
            "int",
            None,
            "The depth, where the format has one.",
            unit="bits",
            choices=(16, 24, 32),
        ),
    ),
    results=(Result("converted", "", "The file in the format that was asked for."),),
    tiers={"": per_minute((0.002, 0.0008), (0.003, 0.0011), (0.006, 0.0022))},
    quality=frozen(local="studio", musicgpt="good"),
    webhook_label="File Conversion",
)

EXTRACT_KEY_BPM = Conversion(
    name="extract_key_bpm",
    title="Key and tempo",
    about="Finds the key, its changes, and the tempo.",
    version="v1",
    conversion_type="KEY_BPM_EXTRACTION",
    category="audio_utilities",
    max_input_s=frozen(musicgpt=480.0, local=HOURS_S),
    parameters=(AUDIO_URL,),
    results=(
        Result(
            "key_bpm",
            "json",
            "The tempo, the key, and where the key changes; on this machine also beats, bars and meter.",
        ),
    ),
    tiers={"": per_minute((0.00186, 0.0002), (0.00248, 0.0003), (0.00496, 0.0006))},
    quality=frozen(local="good", musicgpt="good"),
    of_samples=True,
    webhook_label="Key BPM Extraction",
)


def _fade(name: str, about: str) -> Parameter:
    return Parameter(name, "float", 0.0, about, unit="ms", low=0.0, high=60_000.0, only=ONLY_LOCAL)


AUDIO_CUTTER = Conversion(
    name="audio_cutter",
    title="Cut out a range",
    about="Keeps what lies between two times.",
    version="v1",
    conversion_type="AUDIO_CUTTER",
    category="audio_utilities",
    max_input_s=frozen(musicgpt=480.0, local=HOURS_S),
    parameters=(
        AUDIO_URL,
        Parameter(
            "start_time",
            "float",
            None,
            "Where it begins.",
            unit="ms",
            low=0.0,
            required=True,
            not_above="end_time",
        ),
        Parameter("end_time", "float", None, "Where it ends.", unit="ms", low=0.0, required=True),
        _fade("fade_in", "Fades in over so long; 0: the samples as they are."),
        _fade("fade_out", "Fades out over so long; 0: the samples as they are."),
        OUTPUT_EXTENSION,
    ),
    results=(Result("cut", "", "What lies between the two times."),),
    tiers={"": _CUT_AND_MASTER},
    quality=frozen(local="studio", musicgpt="good"),
    webhook_label="Audio Cutter",
)

AUDIO_SPEED_CHANGER = Conversion(
    name="audio_speed_changer",
    title="Change the speed",
    about="Plays it faster or slower.",
    version="v1",
    conversion_type="AUDIO_SPEED_CHANGER",
    category="audio_utilities",
    max_input_s=frozen(musicgpt=480.0, local=HOURS_S),
    parameters=(
        AUDIO_URL,
        Parameter(
            "speed_change_factor",
            "float",
            None,
            "How much faster; 2 is twice as fast, 0.5 half as fast.",
            low=0.25,
            high=4.0,
            required=True,
        ),
        Parameter(
            "keep_pitch",
            "bool",
            default=True,
            about="Keep the pitch; without, it goes up and down with the speed, as tape does.",
            only=ONLY_LOCAL,
        ),
        OUTPUT_EXTENSION,
    ),
    results=(Result("speed", "", "The audio at the new speed."),),
    tiers={"": _CUT_AND_MASTER},
    quality=frozen(local="good", musicgpt="good"),
    webhook_label="Audio Speed Changer",
)

MASTERING_S = 3 * 3600.0
"""What is known of each moment is kept in memory while the loudness is sought: some 300 MB an hour."""

AUDIO_MASTERING = Conversion(
    name="audio_mastering",
    title="Master",
    about="Gives a mix the level and tone of a track that you like; on this machine also without one.",
    version="v1",
    conversion_type="AUDIO_MASTERING",
    category="audio_utilities",
    max_input_s=frozen(musicgpt=480.0, local=MASTERING_S),
    parameters=(
        AUDIO_URL,
        Parameter(
            "reference_audio_url",
            "text",
            None,
            "An address of the track that it shall sound like; goes with audio_url.",
            only=ONLY_MUSICGPT,
        ),
        Parameter(
            "reference_audio_file",
            "text",
            None,
            "The track that it shall sound like: a path on this machine.",
        ),
        Parameter(
            "loudness",
            "float",
            None,
            "How loud it shall be; by itself -14, or as loud as the reference. Where the mix is too dynamic "
            "for it, as loud as a limiter goes unheard, and the result says so.",
            unit="LUFS",
            low=-36.0,
            high=-6.0,
            only=ONLY_LOCAL,
        ),
        Parameter(
            "true_peak",
            "float",
            -1.0,
            "How far its peaks may go, also those between the samples.",
            unit="dBTP",
            low=-9.0,
            high=0.0,
            only=ONLY_LOCAL,
        ),
        Parameter(
            "tone",
            "bool",
            default=True,
            about="Even out the tone and glue it; without, only level and peaks are changed.",
            only=ONLY_LOCAL,
        ),
        OUTPUT_EXTENSION,
        TRIM_SILENCE,
    ),
    results=(Result("master", "wav", "The mastered mix.", fit="source"),),
    tiers={"": _CUT_AND_MASTER},
    quality=frozen(local="good", musicgpt="good"),
    one_of=(("reference_audio_url", "reference_audio_file"),),
    webhook_label="Audio Mastering",
)

ROWS: tuple[Conversion, ...] = (
    AUDIO_TO_MIDI,
    FILE_CONVERT,
    EXTRACT_KEY_BPM,
    AUDIO_CUTTER,
    AUDIO_SPEED_CHANGER,
    AUDIO_MASTERING,
)
