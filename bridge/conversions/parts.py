"""Parameters, results and prices that several rows of the table share."""

from __future__ import annotations

from typing import Any

from bridge.conversions.model import LOCAL, MUSICGPT, Parameter, Price, Prices, Result, frozen

ONLY_MUSICGPT = frozenset({MUSICGPT})
ONLY_LOCAL = frozenset({LOCAL})
HOURS_S = 4 * 3600.0
"""As long as the local engine takes a file, where it works in windows."""

AUDIO_URL = Parameter(
    "audio_url",
    "text",
    default=None,
    about="An address that MusicGPT fetches the audio from, instead of an upload.",
    only=ONLY_MUSICGPT,
)
TRIM_SILENCE = Parameter(
    "trim_silence",
    "bool",
    default=False,
    about="Leave out the silence at both ends when it is sent; results are put back into place.",
    only=ONLY_MUSICGPT,
    sent=False,
)
"""For conversions whose results lie on the source's timeline, and whose parameters name no time in it."""

VOICE_ID = Parameter(
    "voice_id",
    "text",
    default=None,
    about="The voice, by its id; `bridge voices` lists them.",
    required=True,
)
PITCH = Parameter(
    "pitch", "int", default=0, about="Up or down before it is sung.", unit="semitones", low=-12, high=12
)
TITLE = Parameter("title", "text", default=None, about="A name for the track.")
GENDER = Parameter(
    "gender", "text", default=None, about="The singer's voice.", choices=("male", "female", "neutral")
)
NUM_OUTPUTS = Parameter(
    "num_outputs", "int", default=2, about="How many variants; each one costs.", choices=(1, 2)
)

EXTENSIONS = ("mp3", "wav", "flac", "ogg", "aac", "webm")
OUTPUT_EXTENSION = Parameter(
    "output_extension", "text", default="wav", about="The format of the result.", choices=EXTENSIONS
)


def switch(name: str, about: str, *, on: bool = False) -> Parameter:
    """A yes or no."""
    return Parameter(name, "bool", default=on, about=about)


ALBUM_COVER = switch("generate_album_cover", "Also make a cover picture.")
LYRICS_TIMESTAMPS = switch("lyrics_timestamps", "Also tell when each line is sung.")

COVER = Result("cover", "", "The cover picture.", when="generate_album_cover")


def takes(*, second: str = "", times: str = "lyrics_timestamps") -> tuple[Result, ...]:
    """What a music maker returns: two takes, each with its words.

    `second` is the parameter that asks for the other take, `times` the one that asks for the lines' times;
    empty: always there.
    """
    results: list[Result] = []
    for number, which in ((1, "first"), (2, "second")):
        asked: dict[str, Any] = {"when": second, "item": "2"} if second and number > 1 else {}
        results += [
            Result(f"take_{number}", "wav", f"The {which} take.", fit="own", **asked),
            Result(f"lyrics_{number}", "txt", f"The words of the {which} take, where it has some.", **asked),
            Result(
                f"lyrics_times_{number}", "json", f"When each line of the {which} take is sung.", when=times
            ),
        ]
    return tuple(results)


def per_minute(pro: tuple[float, float], plus: tuple[float, float], payg: tuple[float, float]) -> Prices:
    """A fixed part, and one for each started minute, in each plan."""
    return frozen(pro=Price(*pro), plus=Price(*plus), payg=Price(*payg))


def per_song(**plans: float) -> Prices:
    """For each plan that can have it: the price of one take."""
    return frozen(**{plan: Price(per_song=usd) for plan, usd in plans.items()})
