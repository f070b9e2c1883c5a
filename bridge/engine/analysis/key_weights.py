"""Weights of `bridge.engine.analysis.keys`, learnt from songs written by rule and from Bach's chorales.

In hundredths: for major and for minor ten rows of twelve, from the tonic up. No song or chorale that
`benchmarks.analysis` reports on was among them.
"""

from __future__ import annotations

import numpy as np

# fmt: off
_HUNDREDTHS = (
    (  # major
        (176, -38, 20, -215, 89, 1, -54, 102, -18, -100, -8, 126),  # pitch classes
        (230, -77, 64, -138, 87, 140, -192, 124, -20, 14, -20, -91),  # bass
        (509, -55, -64, -196, 4, 175, -105, 342, -105, -63, -201, -137),  # major triads
        (-82, -15, -42, -96, 276, 46, -132, 103, 16, 110, -151, -101),  # minor triads
        (297, -26, 12, -103, -143, 115, -18, -61, -36, 95, 11, 7),  # opening, major triads
        (0, -43, 35, -37, 90, 25, -49, -90, 1, 58, 26, 157),  # opening, minor triads
        (460, -25, -102, -43, -130, -243, -4, 223, -40, 18, -13, -103),  # fifth down
        (195, -6, -12, -41, 23, -141, -30, 423, -6, -137, -75, 40),  # fourth down
        (-118, 23, 130, -9, -18, -104, -48, 128, -2, 96, -42, -124),  # tone up
        (-22, -8, 13, -48, -60, -32, 6, 190, -29, 45, -83, -1),  # tone down
    ),
    (  # minor
        (167, -89, -37, 147, -124, 34, -167, 152, -139, -71, -47, 90),  # pitch classes
        (161, -160, -51, 133, -50, -45, -231, 269, 46, -1, -65, -125),  # bass
        (179, -102, -208, 130, -156, 64, -128, 180, 44, 21, -167, 41),  # major triads
        (538, -77, -52, -71, -143, -35, -98, 157, 31, -41, -98, -44),  # minor triads
        (73, -134, 62, -86, -47, 155, -82, -197, 54, -16, -16, 84),  # opening, major triads
        (203, -125, -43, -119, 9, 39, -52, 63, 10, -83, -53, -20),  # opening, minor triads
        (445, 12, 54, 24, -86, -249, -37, 37, 45, -121, -88, -37),  # fifth down
        (111, -33, -128, -223, -40, -119, -31, 385, -44, -35, -10, -67),  # fourth down
        (-119, -25, 83, 13, -69, 280, -34, 145, -17, 100, -208, -62),  # tone up
        (-77, -29, -68, -34, -33, 109, -40, 40, 146, -74, 93, -6),  # tone down
    ),
)
# fmt: on

WEIGHTS = np.array(_HUNDREDTHS, np.float64) / 100
BIAS = np.array((-0.345, 0.345))
