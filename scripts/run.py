"""Sets up what is missing, then starts the bridge: python3 scripts/run.py [what `bridge` takes]."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must get this far, and be told plainly
    sys.exit("The bridge needs Python 3.11, 3.12 or 3.13, and this is " + sys.version.split()[0] + ".\n"
             "Start it with a newer one, for example: python3.12 scripts/run.py")  # fmt: skip

from house import start

sys.exit(start.run(sys.argv[1:]))
