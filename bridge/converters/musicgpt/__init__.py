"""The MusicGPT API as a converter: `converter` is what the runner talks to, `wire` the line to the API."""

from __future__ import annotations

from bridge.converters.musicgpt.converter import MusicGPTConverter, Voice, VoicePage

__all__ = ["MusicGPTConverter", "Voice", "VoicePage"]
