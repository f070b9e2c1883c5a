"""Recordings cleaned: the local `denoise`, `deecho` and `dereverb`."""
