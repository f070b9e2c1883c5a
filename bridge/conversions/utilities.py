"""The table's rows of small tools: notes, key and tempo, cutting, speed, mastering, formats."""

from __future__ import annotations

from typing import get_args

from bridge.conversions.model import LOCAL, Conversion, Parameter, Price, Result, frozen
from bridge.media.notes import Material, PitchBends

_LOCAL = frozenset({LOCAL})

AUDIO_TO_MIDI = Conversion(
    name="audio_to_midi",
    title="Audio to MIDI",
    about="Writes down the notes that are played, as a MIDI file.",
    version="v1",
    conversion_type="AUDIO_TO_MIDI",
    category="audio_utilities",
    max_input_s=frozen(musicgpt=480.0, local=4 * 3600.0),
    parameters=(
        Parameter("sonify_midi", "bool", True, "Also render the notes to a WAV."),  # noqa: FBT003  data, not a call
        Parameter("save_note_events", "bool", True, "Also write the notes as a CSV."),  # noqa: FBT003  the same
        Parameter(
            "material",
            "text",
            "auto",
            "What plays; auto hears it by itself, and says so.",
            only=_LOCAL,
            choices=("auto", *get_args(Material)),
        ),
        Parameter(
            "quality",
            "text",
            "good",
            "best takes longer (piano: another network, fetched when first used).",
            only=_LOCAL,
            choices=("good", "best"),
        ),
        Parameter(
            "pitch_bends",
            "text",
            "off",
            "Bends and vibrato in the MIDI: none, a channel for each bent note, or MPE.",
            only=_LOCAL,
            choices=get_args(PitchBends),
        ),
        Parameter(
            "onset_threshold",
            "float",
            None,
            "How sure a note's beginning must be; lower finds more. By itself: what suits the material.",
            low=0.05,
            high=0.95,
            only=_LOCAL,
        ),
        Parameter(
            "frame_threshold",
            "float",
            None,
            "How sure a sounding note must be to go on; lower makes longer notes.",
            low=0.05,
            high=0.95,
            only=_LOCAL,
        ),
        Parameter(
            "minimum_note_ms",
            "float",
            None,
            "Shorter notes are left out.",
            unit="ms",
            low=0.0,
            high=2000.0,
            only=_LOCAL,
        ),
        Parameter(
            "lowest_note",
            "int",
            None,
            "Lower notes are left out.",
            unit="MIDI note",
            low=21,
            high=108,
            only=_LOCAL,
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
            only=_LOCAL,
        ),
        Parameter(
            "remove_ghosts",
            "bool",
            None,
            "Leave out weak notes that are the overtones of a strong one.",
            only=_LOCAL,
        ),
    ),
    results=(
        Result("midi", "mid", "The notes."),
        Result("sonified", "wav", "The notes, rendered to audio.", when="sonify_midi"),
        Result("note_events", "csv", "The notes, one a line.", when="save_note_events"),
    ),
    tiers={"": frozen(pro=Price(0.005, 0.0037), plus=Price(0.007, 0.005), payg=Price(0.014, 0.01))},
    quality=frozen(local="good", musicgpt="good"),
    webhook_label="Audio To MIDI",
)

ROWS: tuple[Conversion, ...] = (AUDIO_TO_MIDI,)
