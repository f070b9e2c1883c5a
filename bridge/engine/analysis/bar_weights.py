"""Weights of `bridge.engine.analysis.bars`, learnt from songs written by rule, none of those reported on.

In hundredths: a row for each place in a bar, a column for each measure of a beat.
"""

from __future__ import annotations

import numpy as np

# fmt: off
_PLACES = (
    (151, 139, 363, 282, 200, 341, 236, 66, -108),  # 1 of 4/4
    (-98, -113, -85, -55, -95, -31, -159, 46, 126),  # 2
    (-61, 10, -133, -97, -83, -243, 23, -140, -135),  # 3
    (8, -33, -145, -128, -37, -64, -100, 27, 123),  # 4
    (-58, -52, 219, 198, 125, 219, 88, 17, -116),  # 1 of 3/4
    (28, 5, -69, -45, -54, -68, -123, 127, 267),  # 2
    (30, 47, -146, -149, -70, -149, 35, -143, -149),  # 3
    (81, 89, 254, 198, 111, 286, 220, 141, 18),  # 1 of 6/8
    (-22, -112, -63, -53, -27, 5, -70, -72, -122),  # 2
    (-6, 74, -82, -74, -33, -121, -75, -108, -116),  # 3
    (-31, -85, -80, -97, -73, -143, 4, 94, 295),  # 4
    (-71, 33, -22, 28, 25, -58, -47, -44, -49),  # 5
    (50, 0, -4, -5, 6, 31, -35, -15, -24),  # 6
)
_GRID = (-62, -158, 175, -77)
_METERS = (1, -16, 15)
# fmt: on

PLACE_WEIGHTS = np.array(_PLACES, np.float64) / 100
GRID_WEIGHTS = np.array(_GRID, np.float64) / 100
METER_BIAS = np.array(_METERS, np.float64) / 100
