"""Sets up, then runs the whole suite: python3 scripts/test.py [--quick] [pytest's options]."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must get this far, and be told plainly
    sys.exit("The bridge needs Python 3.11, 3.12 or 3.13, and this is " + sys.version.split()[0] + ".\n"
             "Start it with a newer one, for example: python3.12 scripts/test.py")  # fmt: skip

from house import suite

sys.exit(suite.test(sys.argv[1:]))
