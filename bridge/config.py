"""The settings: `config.toml` in BRIDGE_HOME, checked as a whole, all faults told at once.

`home()` says where BRIDGE_HOME is, `load(home)` gives the `Settings`. Environment variables named
`BRIDGE_<TABLE>_<KEY>` (`BRIDGE_ENGINE_THREADS=2`) win over the file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bridge.errors import ConfigError
from bridge.home import home as home
from bridge.toml_faults import faults_of

CONFIG_NAME = "config.toml"


def _expand(value: object) -> object:
    return Path(os.path.expandvars(value)).expanduser() if isinstance(value, str) else value


UserPath = Annotated[Path, BeforeValidator(_expand)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WatchedFolder(_Table):
    """One folder that the DAW exports to, and what shall become of its bounces."""

    path: UserPath
    preset: str = "audio-to-midi"
    project_folder: UserPath | None = None
    """Where results go; None: a folder `MIDI` is not made, results lie beside the bounce."""
    recursive: bool = True
    private: bool = False
    polling: bool = False
    settle_s: float = Field(default=0.4, ge=0.05, le=60.0)
    existing: Literal["remember", "convert"] = "remember"


class EngineSettings(_Table):
    threads: int = Field(default=0, ge=0, le=256)
    """0: one less than the machine has."""
    memory_mb: int = Field(default=1500, ge=64)
    idle_exit_s: float = Field(default=1800.0, gt=0)
    low_priority: bool = True


class ServerSettings(_Table):
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    """0: any free one; `owner.json` in BRIDGE_HOME says which."""
    enabled: bool = True


class Settings(_Table):
    folders: tuple[WatchedFolder, ...] = ()
    engine: EngineSettings = EngineSettings()
    server: ServerSettings = ServerSettings()
    tempo_bpm: float | None = Field(default=None, ge=20, le=400)
    resubmit: Literal["never", "ask", "always"] = "ask"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def engine_threads(self) -> int:
        """How many threads the engine may use: the setting, else one core less than there are."""
        return self.engine.threads or max(1, (os.cpu_count() or 2) - 1)


def default_folders() -> tuple[WatchedFolder, ...]:
    """What `bridge run` watches when there is no config.toml."""
    base = platformdirs.user_music_path() / "DAW Bridge"
    return (WatchedFolder(path=base / "In", project_folder=base / "Out"),)


def load(bridge_home: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of `bridge_home`; defaults where there is no config.toml.

    Raises ConfigError that lists every fault with its line.
    """
    path = bridge_home / CONFIG_NAME
    text = _read(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"this is not valid TOML: {error}.", file=path, remedy="Mend that line; texts need quotes."
        ) from error
    _apply_environment(data, os.environ if environment is None else environment)
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise ConfigError(faults_of(error, Settings, text), file=path, remedy="") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"it cannot be read: {error}.", file=path, remedy="It must be a UTF-8 text that you may read."
        ) from error


def _apply_environment(data: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, table in (("engine", EngineSettings), ("server", ServerSettings)):
        for key in table.model_fields:
            value = environment.get(f"BRIDGE_{name}_{key}".upper())
            if value is not None:
                data.setdefault(name, {})[key] = value
    for key in ("tempo_bpm", "resubmit", "log_level"):
        value = environment.get(f"BRIDGE_{key}".upper())
        if value is not None:
            data[key] = value


TEMPLATE = """\
# DAW Bridge. Every line is optional; what is commented out shows the default.

# log_level = "info"            # debug | info | warning | error
# tempo_bpm = 120.0             # where neither the file's name nor the preset tells a tempo
# resubmit = "ask"              # a paid request whose fate is unknown: never | ask | always

# One block for each folder that a DAW exports to.
[[folders]]
path = {in_path}
project_folder = {out_path}     # results go here; without it they lie beside the bounce
# preset = "audio-to-midi"      # `bridge presets` lists them
# recursive = true              # folders below it too
# private = false               # true: its audio never leaves this machine
# polling = false               # true: for network shares that send no events
# settle_s = 0.4                # how long a file must be quiet before it counts as finished
# existing = "remember"         # files that are there already: remember | convert

[engine]
# threads = 0                   # 0: one less than the machine has
# memory_mb = 1500              # an engine process beyond this is stopped
# idle_exit_s = 1800.0          # an engine process that had nothing to do for so long leaves
# low_priority = true           # the DAW comes first

[server]
# enabled = true                # the local control API; `bridge trigger` and pads need it
# host = "127.0.0.1"            # other machines reach it only if you change this
# port = 0                      # 0: any free one
"""


def write_template(bridge_home: Path) -> Path:
    """Writes a commented config.toml and gives its path.

    Raises ConfigError where there is one already: it is never overwritten.
    """
    path = bridge_home / CONFIG_NAME
    folder = default_folders()[0]
    text = TEMPLATE.format(in_path=_quoted(folder.path), out_path=_quoted(folder.project_folder))
    try:
        bridge_home.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            "there is one already; it stays as it is.", file=path, remedy="Edit it, or move it away first."
        ) from None
    except OSError as error:
        remedy = "Choose another BRIDGE_HOME."
        raise ConfigError(f"it cannot be written: {error}.", file=path, remedy=remedy) from error
    return path


def _quoted(path: Path | None) -> str:
    # A literal TOML string: backslashes of Windows stay what they are.
    return f"'{path}'"
