"""DAW Bridge: a bounce in the DAW's export folder becomes MIDI in the project."""

__version__ = "0.1.0"
