"""Loudness, peaks and tone: `master.master` is the local `audio_mastering`."""
