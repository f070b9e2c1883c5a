"""The table's rows that make something new: songs, sounds, speech, words, pictures."""

from __future__ import annotations

from bridge.conversions.model import Conversion, Parameter, Price, Result, frozen
from bridge.conversions.parts import (
    ALBUM_COVER,
    AUDIO_URL,
    COVER,
    GENDER,
    LYRICS_TIMESTAMPS,
    NUM_OUTPUTS,
    ONLY_MUSICGPT,
    TITLE,
    per_song,
    switch,
    takes,
)


def _text(name: str, about: str, *, chars: int | None = None, required: bool = False) -> Parameter:
    return Parameter(name, "text", None, about, max_chars=chars, required=required)


def _time(name: str, about: str, *, not_above: str = "") -> Parameter:
    return Parameter(name, "float", None, about, unit="s", low=0.0, required=True, not_above=not_above)


_EXTRAS = (TITLE, GENDER, ALBUM_COVER, LYRICS_TIMESTAMPS)
_NO_VOCALS = switch("make_instrumental", "No vocals.")
_EXTEND_PRICE = per_song(pro=0.06, plus=0.10, payg=0.20)
_REMIX_PRICE = per_song(pro=0.05, plus=0.07, payg=0.14)

MUSIC_AI = Conversion(
    name="MusicAI",
    title="Make a song",
    about="A new song from a description, or from your own words: two takes.",
    version="v2",
    conversion_type="MUSIC_AI",
    category="audio_generations",
    input="text",
    parameters=(
        _text("prompt", "What it shall be like; no artists' names.", chars=1000),
        _text("music_style", "Genre or style."),
        _text("lyrics", "The words to sing; without them they are written for you.", chars=5000),
        _NO_VOCALS,
        switch("vocal_only", "Vocals alone (always by model v6)."),
        Parameter("voice_id", "text", None, "The voice that sings (always by model v6)."),
        Parameter(
            "model",
            "text",
            "v6",
            "v6-pro needs Plus or Pro, v7 and v7-pro need Pro.",
            choices=("v6", "v6-pro", "v7", "v7-pro"),
        ),
        Parameter(
            "upload_id", "text", None, "The handle of audio that was uploaded before.", evidence="inferred"
        ),
        *_EXTRAS,
    ),
    results=(*takes(), COVER),
    tiers={
        "v7-pro": per_song(pro=0.06),
        "v7": per_song(pro=0.05),
        "v6-pro": per_song(pro=0.045, plus=0.06),
        "v6": per_song(pro=0.035, plus=0.05, payg=0.10),
        "custom voice": per_song(pro=0.052, plus=0.075, payg=0.15),
    },
    quality=frozen(musicgpt="good"),
    deterministic=False,
    encoding="application/json",
    one_of=(("prompt", "lyrics", "music_style"),),
    webhook_label="Music AI",
)

REMIX = Conversion(
    name="Remix",
    title="Remix",
    about="The track in another style: two takes.",
    version="v1",
    conversion_type="REMIX",
    category="audio_generations",
    max_input_s=frozen(musicgpt=240.0),
    parameters=(
        AUDIO_URL,
        _text("prompt", "How it shall sound.", required=True),
        _text("lyrics", "Words for new vocals.", chars=5000),
        *_EXTRAS,
    ),
    results=(*takes(), COVER),
    tiers={"": _REMIX_PRICE},
    quality=frozen(musicgpt="good"),
    deterministic=False,
    webhook_label="Remix",
)

EXTEND = Conversion(
    name="extend",
    title="Extend",
    about="Goes on with the track from a time on: one or two takes.",
    version="v1",
    conversion_type="EXTEND",
    category="audio_generations",
    max_input_s=frozen(musicgpt=240.0),
    parameters=(
        AUDIO_URL,
        _time("extend_after", "Where the new music begins."),
        _text("prompt", "How the new part shall sound."),
        _text("lyrics", "The words of the track as it is.", chars=3000),
        _text("lyrics_section_to_extend", "Words for the new part.", chars=3000),
        NUM_OUTPUTS,
        *_EXTRAS,
    ),
    results=(*takes(second="num_outputs"), COVER),
    tiers={"": _EXTEND_PRICE},
    quality=frozen(musicgpt="good"),
    deterministic=False,
    webhook_label="Extend",
)

INPAINT = Conversion(
    name="inpaint",
    title="Replace a section",
    about="Makes what lies between two times anew: one or two takes of the whole track.",
    version="v1",
    conversion_type="INPAINT",
    category="audio_generations",
    max_input_s=frozen(musicgpt=240.0),
    parameters=(
        AUDIO_URL,
        _text("prompt", "How the new section shall sound.", required=True),
        _time("replace_start_at", "Where the section begins.", not_above="replace_end_at"),
        _time("replace_end_at", "Where the section ends."),
        _text("lyrics", "The words of the whole track; the result is better with them."),
        _text("lyrics_section_to_replace", "Words for the new section.", chars=3000),
        NUM_OUTPUTS,
        *_EXTRAS,
    ),
    results=(*takes(second="num_outputs"), COVER),
    tiers={"": _EXTEND_PRICE},
    quality=frozen(musicgpt="good"),
    deterministic=False,
    webhook_label="Inpaint",
)

SING_OVER_INSTRUMENTAL = Conversion(
    name="sing_over_instrumental",
    title="Sing over an instrumental",
    about="Adds a singer with your words to a backing track: two takes.",
    version="v1",
    conversion_type="SING_OVER_INSTRUMENTAL",
    category="audio_generations",
    max_input_s=frozen(musicgpt=240.0),
    parameters=(
        AUDIO_URL,
        _text("prompt", "How it shall be sung.", required=True),
        _text("lyrics", "The words to sing.", chars=5000, required=True),
        *_EXTRAS,
    ),
    results=(*takes(), COVER),
    tiers={"": _REMIX_PRICE},
    quality=frozen(musicgpt="good"),
    deterministic=False,
    webhook_label="Sing Over Instrumental",
)

SING_OVER_VOCAL = Conversion(
    name="sing_over_vocal",
    title="Sing over a vocal",
    about="A new performance over a vocal track: two takes.",
    version="v1",
    conversion_type=None,
    category="",
    max_input_s=frozen(musicgpt=480.0),
    parameters=(
        AUDIO_URL,
        _text("lyrics", "The words to sing.", required=True),
        _text("prompt", "How it shall sound."),
        _NO_VOCALS,
        *_EXTRAS,
    ),
    results=(*takes(), COVER),
    quality=frozen(musicgpt="good"),
    deterministic=False,
    webhook_label="Sing Over Vocal",
)

IMAGE_TO_SONG = Conversion(
    name="image_to_song",
    title="Song from a picture",
    about="A song to a picture: two takes.",
    version="v1",
    conversion_type=None,
    category="",
    input="image",
    parameters=(
        Parameter(
            "image_url",
            "text",
            None,
            "An address that MusicGPT fetches the picture from, instead of an upload.",
            only=ONLY_MUSICGPT,
        ),
        _text("prompt", "What it shall be like besides.", chars=1000),
        _text("lyrics", "The words to sing.", chars=5000),
        _text("negative_tags", "What it shall not be like."),
        _NO_VOCALS,
        switch("vocal_only", "Vocals alone."),
        _text("key", "Such as C major."),
        Parameter("bpm", "int", 0, "The tempo; 0: as it comes.", unit="BPM"),
        Parameter("voice_id", "text", None, "The voice that sings; not with vocal_only."),
    ),
    results=(*takes(times=""), Result("cover", "", "The cover picture.")),
    quality=frozen(musicgpt="good"),
    deterministic=False,
    webhook_label="Image To Song",
)

IMAGE_GENERATOR = Conversion(
    name="image_generator",
    title="Make a picture",
    about="A picture from a description, such as a cover.",
    version="v1",
    conversion_type=None,
    category="",
    input="text",
    parameters=(
        _text("prompt", "What it shall show.", required=True),
        Parameter(
            "style_preset",
            "text",
            "standard",
            "Standard, Anime, Nature, Abstract, Minimal or Dark.",
        ),
        Parameter("width", "int", 544, "How wide.", unit="pixels", multiple_of=16),
        Parameter("height", "int", 960, "How high.", unit="pixels", multiple_of=16),
        Parameter("seed", "int", None, "The same number makes the same picture."),
    ),
    results=(Result("image", "png", "The picture."),),
    quality=frozen(musicgpt="good"),
    deterministic=False,
    encoding="application/x-www-form-urlencoded",
    webhook_label="Image Generator",
)

SOUND_GENERATOR = Conversion(
    name="sound_generator",
    title="Make a sound",
    about="A sound effect, a loop or a sample from a description.",
    version="v1",
    conversion_type="SOUND_GENERATOR",
    category="audio_enhancements",
    input="text",
    parameters=(
        _text("prompt", "What it is; a tempo that is written here is kept.", chars=300, required=True),
        Parameter("audio_length", "int", None, "How long.", unit="s", low=5, high=120),
        ALBUM_COVER,
    ),
    results=(Result("sound", "wav", "The sound.", fit="own"), COVER),
    tiers={"": frozen(pro=Price(0.011), plus=Price(0.014), payg=Price(0.028))},
    quality=frozen(musicgpt="good"),
    deterministic=False,
    encoding="application/x-www-form-urlencoded",
    webhook_label="Sound Creator",
)

TEXT_TO_SPEECH = Conversion(
    name="TextToSpeech",
    title="Speak a text",
    about="A text, read by a voice.",
    version="v1",
    conversion_type="TEXT_TO_SPEECH",
    category="audio_enhancements",
    input="text",
    parameters=(
        _text("text", "What is spoken.", required=True),
        Parameter("voice_id", "text", None, "The voice, by its id; `bridge voices` lists them."),
        Parameter("sample_audio_url", "text", None, "An address of a clean sample of the wanted speaker."),
        Parameter("gender", "text", None, "The speaker's voice.", choices=("male", "female")),
    ),
    results=(Result("speech", "wav", "The spoken text.", fit="own"),),
    tiers={
        "": frozen(
            pro=Price(per_100_words=0.026), plus=Price(per_100_words=0.035), payg=Price(per_100_words=0.07)
        )
    },
    quality=frozen(musicgpt="good"),
    deterministic=False,
    encoding="application/json",
    one_of=(("sample_audio_url", "voice_id"),),
    webhook_label="Text To Speech",
)

PROMPT_TO_LYRICS = Conversion(
    name="prompt_to_lyrics",
    title="Write lyrics",
    about="Words for a song on a theme.",
    version="v1",
    conversion_type="LYRICS_GENERATOR",
    category="audio_enhancements",
    input="text",
    parameters=(_text("prompt", "What the song is about.", chars=1000, required=True),),
    results=(Result("lyrics", "txt", "The words."),),
    tiers={"": frozen(pro=Price(0.005), plus=Price(0.005), payg=Price(0.01))},
    quality=frozen(musicgpt="good"),
    deterministic=False,
    method="GET",
    encoding="query",
    synchronous=True,
)

ROWS: tuple[Conversion, ...] = (
    MUSIC_AI,
    REMIX,
    EXTEND,
    INPAINT,
    SING_OVER_INSTRUMENTAL,
    SING_OVER_VOCAL,
    IMAGE_TO_SONG,
    IMAGE_GENERATOR,
    SOUND_GENERATOR,
    TEXT_TO_SPEECH,
    PROMPT_TO_LYRICS,
)
