"""Songs as audio, by several instruments, kept by content.

    song_file(song, "fluid", cache=folder)  ->  the path of a WAV file: 44.1 kHz, stereo, 24 bit
    render(song, "fluid", cache=folder)     ->  (frames, 2) float32 and the rate

A note's `start_s` is when its key is pressed. FluidSynth's own delay (3.1 ms in the mean with a SoundFont
that holds one click; 2.0 to 4.1, as events wait for its blocks of 64 frames) is taken off. What instruments
take to speak (0 to 5 ms to a tenth of their peak, a finger on a bass 10 ms) is theirs and stays.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import mido
import numpy as np
import soundfile as sf

from benchmarks.songs import additive, drum_sounds, samples, sounds
from benchmarks.songs.model import Part, Rng, Song, sounding
from benchmarks.songs.sounds import RATE_HZ, Sound
from bridge.media.notes import Note

VERSION = 2  # with every change of what is rendered
SOUNDFONTS: Mapping[str, tuple[Path, ...]] = {
    "fluid": (Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),),
    "musescore": (Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3"),),
    "timgm": (Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),),
}
SAMPLED = {"salamander": "piano", "tr808": "drums", "hydrogen": "drums"}
SOURCES = ("fluid", "musescore", "salamander", "synth", "tr808", "timgm", "hydrogen")
# The others are never looked at while something is tuned.
TUNING_SOURCES = ("fluid", "musescore", "salamander", "synth")
LEARNING_SOURCE = "additive"  # instruments that nobody has built: only to learn from
KITS = {"tr808": samples.MACHINE, "hydrogen": samples.ROCK}

TICKS_PER_BEAT, TICKS_PER_S = 9_600, 19_200  # at 120 BPM
BEND_RANGE = 2.0
FLUIDSYNTH_DELAY_S = 0.003
PEAKS_DB = (-1.0, -3.0, -6.0, -10.0, -16.0)  # bounces are not all loud
ROOM_S, ROOM_DB = 0.9, -17.0
DRUM_CHANNEL = 9


def default_cache() -> Path:
    return Path(tempfile.gettempdir()) / "bridge-songs"


def sources_for(material: str, cache: Path | None = None) -> tuple[str, ...]:
    """The sources that this machine can render that material with."""
    folder = cache or default_cache()
    return tuple(source for source in SOURCES if _is_there(source, material, folder))


def _is_there(source: str, material: str, cache: Path) -> bool:
    if source in SOUNDFONTS:
        return shutil.which("fluidsynth") is not None and any(path.exists() for path in SOUNDFONTS[source])
    if source == "synth":
        return True
    if SAMPLED[source] != material:
        return False
    if source == "salamander":
        return samples.piano_folder(cache) is not None
    return (samples.KITS_FOLDER / KITS[source]).is_dir()


def song_file(song: Song, source: str, *, cache: Path | None = None) -> Path:
    """The song as a WAV file in `cache`, rendered if it is not there yet."""
    folder = cache or default_cache()
    known = hashlib.sha256(repr((VERSION, source, song)).encode()).hexdigest()[:16]
    path = folder / f"{song.material}-{song.seed}-{source}-{known}.wav"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = _levelled(_rendered(song, source, folder), song)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            part = Path(work) / "song.wav"
            sf.write(part, made, RATE_HZ, subtype="PCM_24")
            os.replace(part, path)  # noqa: PTH105 - the same as elsewhere: atomic on all systems
    return path


def render(song: Song, source: str, *, cache: Path | None = None) -> tuple[Sound, int]:
    """The song's sound, (frames, 2) float32, and its rate in hertz."""
    sound, rate_hz = sf.read(song_file(song, source, cache=cache), dtype="float32", always_2d=True)
    return sound, int(rate_hz)


def _rendered(song: Song, source: str, cache: Path) -> Sound:
    if source in SOUNDFONTS:
        return _with_fluidsynth(song, next(path for path in SOUNDFONTS[source] if path.exists()))
    rng = np.random.default_rng([song.seed, 77])
    timbres = np.random.default_rng(zlib.crc32(repr(song).encode()))
    sound = np.zeros((round(song.duration_s * RATE_HZ), 2), dtype=np.float32)
    for part in song.parts:
        own = additive.timbre(timbres) if source == LEARNING_SOURCE and not part.drums else None
        _add(sound, part, source, cache, rng, own)
    return _in_a_room(sound, rng)


def _add(sound: Sound, part: Part, source: str, cache: Path, rng: Rng, own: additive.Timbre | None) -> None:
    left, right = np.cos((part.pan + 1) * np.pi / 4), np.sin((part.pan + 1) * np.pi / 4)
    sides = np.array([left, right], dtype=np.float32) * np.float32(1.41 * part.gain)
    for note in part.notes if part.drums else sounding(part):
        voice = additive.voice(own, note) if own else _one(part, note, source, cache, rng)
        if voice.ndim == 1:
            voice = np.repeat(voice[:, np.newaxis], 2, axis=1)
        start = round(note.start_s * RATE_HZ)
        voice = voice[: len(sound) - start]
        sound[start : start + len(voice)] += voice * sides


def _one(part: Part, note: Note, source: str, cache: Path, rng: Rng) -> Sound:
    if source == "salamander":
        folder = samples.piano_folder(cache)
        assert folder is not None
        return samples.piano_key(folder, note)
    if source in KITS:
        return samples.drum_hit(KITS[source], note)
    if part.drums:
        return 0.6 * drum_sounds.hit(note, part.program, rng)
    return sounds.voice(part.program, note, rng)


def _in_a_room(sound: Sound, rng: Rng) -> Sound:
    """A small room's echo, from noise that dies away, its top sooner."""
    time_s = np.arange(round(ROOM_S * RATE_HZ)) / RATE_HZ
    tail = rng.normal(0, 1, (len(time_s), 2)) * np.exp(-time_s * 6.9 / ROOM_S)[:, np.newaxis]
    tail = np.apply_along_axis(lambda side: np.convolve(side, np.ones(6) / 6, mode="same"), 0, tail)
    tail[: round(0.008 * RATE_HZ)] = 0
    tail *= 10 ** (ROOM_DB / 20) / np.sqrt((tail**2).sum(axis=0))
    size = len(sound) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(sound, size, axis=0) * np.fft.rfft(tail, size, axis=0), size, axis=0)
    return (sound + wet[: len(sound)]).astype(np.float32)


def _levelled(sound: Sound, song: Song) -> Sound:
    """Exactly the song's length, its peak at one of some usual levels."""
    frames = round(song.duration_s * RATE_HZ)
    fitted = np.zeros((frames, 2), dtype=np.float32)
    fitted[: len(sound)] = sound[:frames]
    peak_db = PEAKS_DB[song.seed % len(PEAKS_DB)]
    return fitted * np.float32(10 ** (peak_db / 20) / max(1e-9, float(np.abs(fitted).max())))


# FluidSynth


def _with_fluidsynth(song: Song, soundfont: Path) -> Sound:
    with tempfile.TemporaryDirectory() as work:
        midi, wav = Path(work) / "song.mid", Path(work) / "song.wav"
        midi_of(song).save(midi)
        command = ["fluidsynth", "-n", "-i", "-q", "-r", str(RATE_HZ), "-g", "0.4", "-R", "1", "-C", "1"]
        settings = ["-o", "synth.reverb.level=0.25", "-o", "synth.reverb.room-size=0.5"]
        settings += ["-o", "synth.chorus.level=0.6", "-o", "synth.polyphony=512"]
        output = ["-T", "wav", "-O", "float", "-F", str(wav), str(soundfont), str(midi)]
        subprocess.run([*command, *settings, *output], check=True, capture_output=True)
        sound, _ = sf.read(wav, dtype="float32", always_2d=True)
    return np.asarray(sound[round(FLUIDSYNTH_DELAY_S * RATE_HZ) :], dtype=np.float32)


def midi_of(song: Song) -> mido.MidiFile:
    """The song for a General MIDI player, in real time: the tempo says nothing."""
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT)
    channels = iter(channel for channel in range(16) if channel != DRUM_CHANNEL)
    for part in song.parts:
        file.tracks.append(_track(part, DRUM_CHANNEL if part.drums else next(channels), song.duration_s))
    return file


def _track(part: Part, channel: int, ends_s: float) -> mido.MidiTrack:
    track = mido.MidiTrack([mido.Message("program_change", program=part.program, channel=channel)])
    for control, value in ((7, 127 * part.gain), (10, 64 + 63 * part.pan)):
        track.append(mido.Message("control_change", control=control, value=round(value), channel=channel))
    now = 0
    for at_s, _, message in sorted(_events(part, channel), key=lambda event: event[:2]):
        tick = round(at_s * TICKS_PER_S)
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, round(ends_s * TICKS_PER_S) - now)))
    return track


def _events(part: Part, channel: int) -> list[tuple[float, int, mido.Message]]:
    """Time, order at one time, message."""
    events = []
    for note in part.notes:
        on = mido.Message("note_on", note=note.pitch, velocity=note.velocity, channel=channel)
        events.append((note.end_s, 0, on.copy(velocity=0)))
        events.append((note.start_s, 2, on))
        for after_s, semitones in note.bends or ((0.0, 0.0),):
            wheel = round(np.clip(semitones / BEND_RANGE, -1, 1) * 8191)
            events.append(
                (note.start_s + after_s, 1, mido.Message("pitchwheel", pitch=wheel, channel=channel))
            )
    for down_s, up_s in part.sustain:
        for at_s, value in ((down_s, 127), (up_s, 0)):
            pedal = mido.Message("control_change", control=64, value=value, channel=channel)
            events.append((at_s, 1, pedal))
    return events
