"""Drums to General MIDI: hear the kit once (`listen`), decide on its strokes at any time (`hits_of`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bridge.engine.drum_bands import BANDS, RATE_HZ, Samples, levels, windows
from bridge.engine.drum_hits import PACKED_ONE, SORT_ONE, DrumActivity, HitOptions, hits_of
from bridge.engine.drum_loudness import HARDEST, piece_levels, risen
from bridge.engine.drum_network import PIECES, strokes

__all__ = ["RATE_HZ", "DrumActivity", "HitOptions", "hits_of", "listen"]


def listen(
    blocks: Iterable[Samples],
    *,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[int], None] = lambda _samples: None,
) -> DrumActivity:
    """Hears mono blocks at `RATE_HZ`, in bounded memory but for the result and 26 bytes a frame (5.8 ms).

    The result does not depend on the sizes of the blocks. `check` is called before each window (6 s) and may
    raise to cancel; `tell` hears how many samples are done.
    """
    heard, loud = [np.empty((0, BANDS), np.uint8)], [np.empty((0, len(PIECES)), np.uint8)]
    samples = 0
    for sound, fresh in windows(blocks):
        check()
        heard.append(levels(sound))
        loud.append(piece_levels(heard[-1]))
        samples += fresh
        tell(samples)
    found = strokes(np.concatenate(heard), check=check)
    return DrumActivity(
        struck=np.rint(found.struck * PACKED_ONE).astype(np.uint16),
        sort=np.rint(found.sort * SORT_ONE).astype(np.uint8),
        hard=np.rint(found.hard * HARDEST).astype(np.uint8),
        level=risen(np.concatenate(loud)),
        samples=samples,
    )
