"""Where BRIDGE_HOME is: the one folder in which everything of the bridge lives. Quick to import."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder that the environment variable BRIDGE_HOME names, else the platform's place for user data."""
    named = os.environ.get("BRIDGE_HOME")
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("daw-bridge", appauthor=False)
