"""What is heard of the music: key, tempo, beats, meter. `key_bpm.extract_key_bpm` is the local conversion."""
