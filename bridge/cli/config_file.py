"""`config.toml` as a program writes it: in one step, and never with faults."""

from __future__ import annotations

import codecs
import os
import shutil
import tempfile
from pathlib import Path

from bridge import config
from bridge.config import Settings
from bridge.errors import ConfigError


def read(path: Path) -> tuple[str, Settings]:
    """The file's text and what it says, without the environment; the template where there is none.

    Line ends are as they stand there. Raises ConfigError.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        text = config.template()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "It must be a UTF-8 text that you may read."
        raise ConfigError(f"it cannot be read: {error}.", file=path, remedy=remedy) from error
    return text, config.parse(text, path, {})


def write(path: Path, text: str) -> None:
    """Whoever reads it meanwhile finds the old file or the new one. A link stays a link.

    Raises ConfigError where the text has faults, or cannot be written; the file is as it was then.
    """
    config.parse(text, path, {})
    real = Path(os.path.realpath(path))
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        _replace(real, text)
    except OSError as error:
        raise ConfigError(
            f"it cannot be written: {error}.", file=path, remedy="It is as it was. Look at its rights."
        ) from error


def _replace(path: Path, text: str) -> None:
    there = path.exists()
    marked = there and path.read_bytes().startswith(codecs.BOM_UTF8)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8-sig" if marked else "utf-8"))
            file.flush()
            os.fsync(file.fileno())
        if there:
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
