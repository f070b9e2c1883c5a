"""The table's rows that work on a recording: stems, cleaning, voices, words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from bridge.conversions.model import LOCAL, Conversion, Parameter, Prices, Result, frozen
from bridge.conversions.parts import (
    AUDIO_URL,
    HOURS_S,
    ONLY_LOCAL,
    PITCH,
    TRIM_SILENCE,
    VOICE_ID,
    per_minute,
    switch,
)

_DENOISE = per_minute((0.0223, 0.0037), (0.0298, 0.0045), (0.0596, 0.009))
_DEECHO = per_minute((0.0171, 0.003), (0.0228, 0.0037), (0.0456, 0.0074))
_DEREVERB = per_minute((0.0145, 0.0022), (0.0193, 0.003), (0.0386, 0.006))

_STEM_PRICES: Mapping[str, Prices] = MappingProxyType(
    {
        "vocal": per_minute((0.0115, 0.0022), (0.0155, 0.003), (0.031, 0.006)),
        "gender": per_minute((0.0186, 0.003), (0.0248, 0.0045), (0.0496, 0.009)),
        "lead/back": per_minute((0.0242, 0.0037), (0.0322, 0.005), (0.0644, 0.01)),
        "instrumental": per_minute((0.0576, 0.0089), (0.0768, 0.012), (0.1536, 0.024)),
        "guitar type or part": per_minute((0.0576, 0.1289), (0.0768, 0.1319), (0.1536, 0.2638)),
        "strings": per_minute((0.0576, 0.0989), (0.0768, 0.1019), (0.1536, 0.2038)),
        "keys": per_minute((0.067, 0.0104), (0.089, 0.0134), (0.178, 0.0268)),
        "winds": per_minute((0.0727, 0.0119), (0.097, 0.0149), (0.194, 0.0298)),
        "band or drum stems": per_minute((0.1078, 0.0179), (0.1438, 0.0238), (0.2876, 0.0476)),
        "premium bass/drums": per_minute((0.2455, 0.0372), (0.3273, 0.0521), (0.6546, 0.1042)),
        # What is done beforehand has no price of its own in the documentation: that of the tool by itself.
        "Denoise": _DENOISE,
        "Deecho": _DEECHO,
        "Dereverb": _DEREVERB,
    }
)

STEMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "vocals": ("vocal", "All voices."),
        "instrumental": ("instrumental", "Everything but the voices."),
        "male_vocal": ("gender", "Male voices."),
        "female_vocal": ("gender", "Female voices."),
        "lead_vocal": ("lead/back", "The lead voice."),
        "back_vocal": ("lead/back", "The backing voices."),
        "bass": ("band or drum stems", "The bass."),
        "drums": ("band or drum stems", "The drums."),
        "guitar": ("band or drum stems", "All guitars."),
        "piano": ("band or drum stems", "The piano."),
        "keys": ("keys", "Keyboards."),
        "strings": ("strings", "Strings."),
        "winds": ("winds", "Wind instruments."),
        "rhythm_guitar": ("guitar type or part", "The rhythm guitar."),
        "solo_guitar": ("guitar type or part", "The solo guitar."),
        "acoustic_guitar": ("guitar type or part", "Acoustic guitars."),
        "electric_guitar": ("guitar type or part", "Electric guitars."),
        "kick_drum": ("band or drum stems", "The kick drum."),
        "snare_drum": ("band or drum stems", "The snare drum."),
        "toms": ("band or drum stems", "The toms."),
        "hi_hat": ("band or drum stems", "The hi-hat."),
        "ride": ("band or drum stems", "The ride cymbal."),
        "crash": ("band or drum stems", "The crash cymbals."),
    }
)
"""For each stem: the tier of its price, which is deduced from the price list's words, and what it holds."""

LOCAL_STEMS: Mapping[str, str] = MappingProxyType(
    {
        "drums": "hits of others remain in it, and tails of drums do not (a guide, not for a mix).",
        "bass": "what else is low is in it, and the bass's overtones are not (a guide, not for a mix).",
        "other": "what is left beside voices, drums and bass, with remains of them (a guide, not for a mix).",
    }
)
"""Stems of which the local engine makes drafts by itself, each with what it is not."""

ONLY_LOCAL_STEMS: Mapping[str, str] = MappingProxyType(
    {
        "other": "Everything but voices, drums and bass.",
        "residual": "What is in none of the other stems asked for: with it, all add up to the source.",
    }
)
"""What can be asked of the local engine beside STEMS."""

EXTRACTION = Conversion(
    name="Extraction",
    title="Stems",
    about="Takes a mix apart: voices, drums, bass and other instruments, each in a file of its own.",
    version="v2",
    conversion_type="EXTRACTION",
    category="audio_enhancements",
    max_input_s=frozen(musicgpt=480.0, local=HOURS_S),
    parameters=(
        AUDIO_URL,
        Parameter(
            "stems",
            "list",
            ("vocals", "instrumental"),
            "Which ones; each kind costs. By itself this machine knows vocals and instrumental, and drafts "
            "of drums, bass and other; more with a model of your own.",
            choices=tuple(STEMS),
            also={LOCAL: tuple(ONLY_LOCAL_STEMS)},
            required=True,
        ),
        Parameter(
            "model",
            "text",
            "auto",
            "The network: auto, spleeter, or one that was added with `bridge models add`.",
            only=ONLY_LOCAL,
        ),
        Parameter(
            "preprocessing_options",
            "list",
            (),
            "What is cleaned before it is taken apart.",
            choices=("Denoise", "Deecho", "Dereverb"),
        ),
        switch(
            "eco_mode",
            "Take the stems apart beside one another, which is faster; no difference on this machine.",
        ),
        TRIM_SILENCE,
    ),
    results=tuple(
        Result(
            stem,
            "wav",
            about,
            when="stems",
            item=stem,
            fit="source",
            drafts={LOCAL: LOCAL_STEMS[stem]} if stem in LOCAL_STEMS else {},
        )
        for stem, about in (
            *((stem, about) for stem, (_, about) in STEMS.items()),
            *ONLY_LOCAL_STEMS.items(),
        )
    ),
    tiers=_STEM_PRICES,
    own_networks=frozenset({"auto", "spleeter"}),
    quality=frozen(local="good", musicgpt="good"),
    webhook_label="Extraction",
)


def _cleaning(
    name: str,
    title: str,
    noun: str,
    *,
    conversion_type: str,
    label: str,
    prices: Prices,
    more: tuple[Parameter, ...] = (),
) -> Conversion:
    return Conversion(
        name=name,
        title=title,
        about=f"Takes {noun} out of a recording.",
        version="v1",
        conversion_type=conversion_type,
        category="audio_enhancements",
        max_input_s=frozen(musicgpt=480.0, local=HOURS_S),
        parameters=(AUDIO_URL, *more, TRIM_SILENCE),
        results=(
            Result("clean", "wav", f"The recording without {noun}.", fit="source"),
            Result("removed", "wav", f"{noun.capitalize()} alone.", fit="source"),
        ),
        tiers={"": prices},
        quality=frozen(local="good", musicgpt="good"),
        webhook_label=label,
    )


DENOISE = _cleaning(
    "denoise",
    "Remove noise",
    "noise",
    conversion_type="DENOISING",
    label="Denoise",
    prices=_DENOISE,
    more=(
        Parameter(
            "material",
            "text",
            "auto",
            "What is in it: music, speech; auto hears it by itself, and says so.",
            only=ONLY_LOCAL,
            choices=("auto", "music", "speech"),
        ),
        Parameter(
            "model",
            "text",
            "auto",
            "The network for speech: nsnet2 (auto), or deepfilternet, an experiment that you fetch yourself.",
            only=ONLY_LOCAL,
            choices=("auto", "nsnet2", "deepfilternet"),
        ),
    ),
)
DEECHO = _cleaning("deecho", "Remove echo", "echo", conversion_type="DEECHO", label="Deecho", prices=_DEECHO)
DEREVERB = _cleaning(
    "dereverb",
    "Remove reverb",
    "reverb",
    conversion_type="DEREVERB",
    label="Dereverb",
    prices=_DEREVERB,
    more=(
        Parameter(
            "material",
            "text",
            "auto",
            "What is in it: speech, or music, of which only what is surely a room is taken; auto hears by "
            "itself which, and leaves music as it is.",
            only=ONLY_LOCAL,
            choices=("auto", "music", "speech"),
        ),
    ),
)

VOICE_CHANGER = Conversion(
    name="VoiceChanger",
    title="Change the voice",
    about="The same performance of a voice, sung or spoken by another one.",
    version="v1",
    conversion_type="VOICE_CONVERSION",
    category="audio_enhancements",
    max_input_s=frozen(musicgpt=480.0),
    parameters=(
        AUDIO_URL,
        VOICE_ID,
        Parameter(
            "remove_background", "int", 0, "1: take noise out of the background first.", choices=(0, 1)
        ),
        PITCH,
        TRIM_SILENCE,
    ),
    results=(Result("voice", "wav", "The performance with the other voice.", fit="source"),),
    tiers={"": per_minute((0.016, 0.0022), (0.022, 0.003), (0.044, 0.006))},
    quality=frozen(musicgpt="good"),
    webhook_label="Voice Conversion",
)

COVER = Conversion(
    name="Cover",
    title="Cover version",
    about="A whole song, its singer replaced by another voice.",
    version="v1",
    conversion_type="COVER",
    category="audio_enhancements",
    max_input_s=frozen(musicgpt=480.0),
    parameters=(AUDIO_URL, VOICE_ID, PITCH, TRIM_SILENCE),
    results=(Result("cover_version", "wav", "The song with the other voice.", fit="source"),),
    tiers={"": per_minute((0.0235, 0.0037), (0.0315, 0.005), (0.063, 0.01))},
    quality=frozen(musicgpt="good"),
    webhook_label="Cover",
)


def _text_format(name: str, default: Literal["plain_text"] | None, about: str) -> Parameter:
    return Parameter(name, "text", default, about, choices=("plain_text", "formatted_text", "srt", "vtt"))


AUDIO_TRANSCRIBE = Conversion(
    name="audio_transcribe",
    title="Write down the words",
    about="What is spoken or sung, as text or subtitles.",
    version="v1",
    conversion_type="AUDIO_TRANSCRIPTION",
    category="audio_enhancements",
    max_input_s=frozen(musicgpt=480.0),
    parameters=(
        AUDIO_URL,
        Parameter("language", "text", None, "The language that is spoken, such as en; else it is heard."),
        switch("translate", "Also translate the words to English."),
        _text_format("transcription_format", "plain_text", "Text, or subtitles with times (srt, vtt)."),
        _text_format(
            "translation_format", None, "The same for the translation; MusicGPT does not use it yet."
        ),
        switch("word_timestamps", "Also tell when each word is heard."),
    ),
    results=(
        Result("transcript", "", "The words: a txt, srt or vtt file."),
        Result("translation", "txt", "The words in English.", when="translate"),
        Result("words", "json", "Each word with its times in milliseconds.", when="word_timestamps"),
    ),
    tiers={"": _DENOISE},
    quality=frozen(musicgpt="good"),
    webhook_label="Audio Transcription",
)

ROWS: tuple[Conversion, ...] = (
    EXTRACTION,
    DENOISE,
    DEECHO,
    DEREVERB,
    VOICE_CHANGER,
    COVER,
    AUDIO_TRANSCRIBE,
)
