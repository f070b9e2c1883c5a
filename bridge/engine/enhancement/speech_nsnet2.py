"""Speech without noise by the network NSNet2: what share of each bin is speech, heard at 48 kHz.

S. Braun, I. Tashev, "Data augmentation and loss normalization for deep noise suppression" (2020), in the
48 kHz version of Microsoft's Deep Noise Suppression Challenge. The network takes the logarithms of the powers
of 20 ms windows, one each 10 ms, and answers with a gain for each of 513 bins. The gains are laid onto the
source's own windows, whatever its rate: so nothing is resampled that is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from bridge.engine.enhancement.noise_frames import Counted, Floats, Framing, Spectra, power, sound, spectra
from bridge.media.raw_pcm import Samples

Places = npt.NDArray[np.float64]

RATE_HZ: Final = 48_000
FRAMING: Final = Framing(960, 480, 1024)
LEAST_POWER: Final = 1e-12
WINDOWS_AT_ONCE: Final = 500
WINDOWS_BEFORE: Final = 200
"""The network remembers: it hears two seconds once more before what it is asked for."""
LEAST_GAIN: Final = 10 ** (-40 / 20)
EDGE_BINS: Final = 20
"""What lies above 24 kHz gets the mean of the highest bins' gains."""


def cleaned(
    blocks: Iterable[Samples], heard: Iterable[Samples], rate_hz: int, model: Path, *, threads: int
) -> Iterator[Samples]:
    """The blocks of `rate_hz` with speech alone left. `heard` is the same sound at 48 kHz."""
    session = _session(model, threads)
    source = Counted(blocks)
    hop = max(1, round(rate_hz * FRAMING.hop / RATE_HZ))
    framing = Framing(2 * hop, hop, 2 * hop)
    gains = _gains(session, spectra(Counted(heard), FRAMING, threads=threads))
    stream = _scaled(spectra(source, framing, threads=threads), gains, framing, rate_hz)
    return sound(stream, framing, source, threads=threads)


def _session(model: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _gains(session: Any, stream: Iterable[Spectra]) -> Iterator[Floats]:
    """Gains (pairs, windows, 513) at 48 kHz; both channels of a pair get the same."""
    held: Floats | None = None
    done = 0
    for some in stream:
        now = _features(some)
        held = now if held is None else np.concatenate([held, now], axis=1)
        while held.shape[1] - done >= WINDOWS_AT_ONCE:
            until = done + WINDOWS_AT_ONCE
            yield _answered(session, held[:, :until])[:, done:]
            drop = max(0, until - WINDOWS_BEFORE)
            held, done = held[:, drop:], until - drop
    if held is not None and held.shape[1] > done:
        yield _answered(session, held)[:, done:]


def _features(some: Spectra) -> Floats:
    powers = power(some)
    pairs = [powers[at : at + 2].mean(axis=0) for at in range(0, len(powers), 2)]
    logarithms: Floats = np.log10(np.maximum(np.stack(pairs), LEAST_POWER))
    return logarithms


def _answered(session: Any, features: Floats) -> Floats:
    """One pair after the other, so that no call is long."""
    answers = [session.run(None, {"input": pair[np.newaxis]})[0][0] for pair in features]
    gains: Floats = np.clip(np.stack(answers), LEAST_GAIN, 1)
    return gains


def _scaled(
    stream: Iterable[Spectra], gains: Iterator[Floats], framing: Framing, rate_hz: int
) -> Iterator[Spectra]:
    """The source's spectra times the gains of the windows and bins nearest to theirs."""
    held, first = next(gains, None), 0  # `first` is the number of the first window in `held`
    at = 0
    for some in stream:
        place = _places(np.arange(at, at + some.shape[1]), framing, rate_hz)
        while held is not None and first + held.shape[1] <= place[-1] + 1:
            more = next(gains, None)
            if more is None:
                break
            drop = min(max(0, int(place[0]) - first), held.shape[1] - 1)
            held, first = np.concatenate([held[:, drop:], more], axis=1), first + drop
        if held is not None:
            gain = _across_bins(_between(held, place - first), framing, rate_hz)
            yield some * np.repeat(gain, 2, axis=0)[: len(some)]
        at += some.shape[1]


def _places(windows: npt.NDArray[np.intp], framing: Framing, rate_hz: int) -> Places:
    """Where the centres of the source's windows lie, counted in windows of the network."""
    seconds = (windows * framing.hop - framing.lead + framing.window / 2) / rate_hz
    places: Places = (seconds * RATE_HZ + FRAMING.lead - FRAMING.window / 2) / FRAMING.hop
    return places


def _between(gains: Floats, place: Places) -> Floats:
    last = gains.shape[1] - 1
    place = np.clip(place, 0, last)
    below = np.floor(place + 1e-6).astype(np.intp)
    share = np.maximum(place - below, 0).astype(np.float32)[:, np.newaxis]
    between: Floats = gains[:, below] * (1 - share) + gains[:, np.minimum(below + 1, last)] * share
    return between


def _across_bins(gains: Floats, framing: Framing, rate_hz: int) -> Floats:
    hertz = np.arange(framing.bins) * (rate_hz / framing.size)
    place = np.minimum(hertz * (FRAMING.size / RATE_HZ), FRAMING.bins - 1)
    below = np.minimum(place.astype(np.intp), FRAMING.bins - 2)
    share = (place - below).astype(np.float32)
    across: Floats = gains[..., below] * (1 - share) + gains[..., below + 1] * share
    above = hertz > RATE_HZ / 2
    if above.any():
        across[..., above] = gains[..., -EDGE_BINS:].mean(axis=-1, keepdims=True)
    return across
