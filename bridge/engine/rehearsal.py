"""Small real results for a rehearsal: of the right kind, made of what was sent, quickly, without any model.

Stems are bands of the source that sum up to it again; results are MP3s at 44.1 kHz where the API's are. What
needs a talent that nobody here has (to sing, to speak, to hear words) is a short tune or a plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bridge.engine import rehearsal_audio as audio
from bridge.engine import rehearsal_songs as songs
from bridge.engine.rehearsal_audio import Job, Row, length_of

__all__ = ["Job", "length_of", "rehearse"]

MAKERS: Mapping[str, Callable[[Job], list[Row]]] = MappingProxyType(
    {
        "Extraction": audio.stems,
        "denoise": audio.cleaned(6_000.0),
        "deecho": audio.cleaned(4_000.0),
        "dereverb": audio.cleaned(3_000.0),
        "Cover": audio.voice("cover_version"),
        "VoiceChanger": audio.voice("voice"),
        "audio_cutter": audio.cut,
        "audio_speed_changer": audio.at_speed,
        "audio_mastering": audio.mastered,
        "file_convert": audio.converted,
        **dict.fromkeys(("MusicAI", "Remix", "extend", "inpaint"), songs.song),
        **dict.fromkeys(("sing_over_instrumental", "sing_over_vocal", "image_to_song"), songs.song),
        "TextToSpeech": songs.speech,
        "sound_generator": songs.sound,
        "prompt_to_lyrics": songs.words_of_a_song,
        "audio_transcribe": songs.transcript,
        "extract_key_bpm": songs.key_and_tempo,
        "image_generator": songs.image,
    }
)
"""Who makes what, by the conversion's name."""


def rehearse(job: Job) -> list[Row]:
    """Makes the results: a row for each, with `role` and its `file`, `text` or `data`.

    A row with a file may name its `wav` beside it, and the `seconds` of its sound. Raises AudioError.
    """
    return MAKERS[job.conversion](job)
