"""Cut, speed and format: the local `audio_cutter`, `audio_speed_changer` and `file_convert`."""
