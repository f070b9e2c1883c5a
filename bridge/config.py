"""The settings: `config.toml` in BRIDGE_HOME, checked as a whole, all faults told at once.

`home()` says where BRIDGE_HOME is, `load(home)` gives the `Settings`. Environment variables named
`BRIDGE_<TABLE>_<KEY>` (`BRIDGE_ENGINE_THREADS=2`) win over the file.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bridge.config_controls import CONTROLS_TEMPLATE, HotkeyTable, MidiSettings, PadTable
from bridge.errors import ConfigError
from bridge.home import home
from bridge.toml_faults import Place, at_line, did_you_mean, faults_of, lines_of, listed, syntax_fault

__all__ = [
    "Settings",
    "WatchedFolder",
    "default_folders",
    "home",
    "load",
    "parse",
    "template",
    "write_template",
]

CONFIG_NAME = "config.toml"


def _expand(value: object) -> object:
    """A path as it is written in the file: `~` and `$VAR` are filled in. Raises ValueError."""
    if not isinstance(value, str):
        return value
    if any(ord(sign) < FIRST_PRINTABLE for sign in value):
        raise ValueError(f"has control characters in it ({value!r}). Put a path into 'single quotes'")
    try:
        path = Path(os.path.expandvars(value)).expanduser()
    except RuntimeError:
        raise ValueError(f"names a user that is not known here ({value}). Write the whole path") from None
    if not path.is_absolute():
        raise ValueError(f"is not a whole path on this machine ({value!r}). Begin at the root, or with ~")
    return path


FIRST_PRINTABLE = 32
UserPath = Annotated[Path, BeforeValidator(_expand)]


def _unknown_tempo(value: object) -> object:
    return None if value in (0, "0") and value is not False else value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WatchedFolder(_Table):
    """One folder that the DAW exports to, and what shall become of its bounces."""

    path: UserPath
    preset: str = "audio-to-midi"
    project_folder: UserPath | None = None
    """Where results go; None: they lie beside the bounce."""
    recursive: bool = True
    private: bool = False
    upload: Literal["default", "ask", "always", "never"] = "default"
    """Whether its audio may be sent to MusicGPT; default: as `musicgpt.consent` says."""
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


Answer = Literal["ask", "always", "never"]


class MusicGPTSettings(_Table):
    """How the MusicGPT API is used. The key is no setting: `bridge login`, or MUSICGPT_API_KEY."""

    base_url: str = Field(default="https://api.musicgpt.com/api/public", pattern=r"^https?://[^/\s]+.*[^/]$")
    plan: Literal["free", "payg", "plus", "pro"] = "payg"
    consent: Answer = "ask"
    """Whether audio of a folder that was never sent before may be: ask first, or take it as said."""
    resubmit: Answer = "ask"
    """What becomes of a request of which nobody knows whether it arrived."""
    cap_day_usd: float = Field(default=5.0, ge=0)
    cap_project_usd: float = Field(default=50.0, ge=0)
    cap_conversion_usd: float = Field(default=1.0, ge=0)
    """What may be spent: in a day, for one project folder, on one conversion."""
    allow_unpriced: bool = False
    """Whether something may be sent that has no price in the vendor's list."""
    webhook_url: str = ""
    """An address of this machine that the API can reach; empty: results are asked for."""
    webhook_port: int = Field(default=0, ge=0, le=65535)


class Settings(_Table):
    folders: tuple[WatchedFolder, ...] = ()
    engine: EngineSettings = EngineSettings()
    server: ServerSettings = ServerSettings()
    musicgpt: MusicGPTSettings = MusicGPTSettings()
    midi: MidiSettings = MidiSettings()
    pads: tuple[PadTable, ...] = ()
    hotkeys: tuple[HotkeyTable, ...] = ()
    tempo_bpm: Annotated[float | None, BeforeValidator(_unknown_tempo)] = Field(default=None, ge=20, le=400)
    """None, in the file 0: not known."""
    hear_tempo: bool = True
    """Where nobody tells the tempo of notes, the engine listens for it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def engine_threads(self) -> int:
        """How many threads the engine may use: the setting, else one core less than there are."""
        return self.engine.threads or max(1, (os.cpu_count() or 2) - 1)


def default_folders() -> tuple[WatchedFolder, ...]:
    """What `bridge run` watches when there is no config.toml."""
    base = platformdirs.user_music_path() / "DAW Bridge"
    return (WatchedFolder(path=base / "In", project_folder=base / "Out"),)


def watched_folders(settings: Settings) -> tuple[WatchedFolder, ...]:
    return settings.folders or default_folders()


def project_folder_of(settings: Settings, source: Path) -> Path:
    """Where results of the bounce `source` go: what its watched folder says, else beside it."""
    for folder in watched_folders(settings):
        if folder.project_folder is not None and source.is_relative_to(folder.path):
            return folder.project_folder
    return source.parent


def folder_of(settings: Settings, source: Path) -> WatchedFolder | None:
    """The watched folder that `source` lies in; the innermost, where one lies in another."""
    around = [one for one in watched_folders(settings) if source.is_relative_to(one.path)]
    return max(around, key=lambda one: len(one.path.parts), default=None)


def is_private(settings: Settings, source: Path) -> bool:
    """True when the file lies in a folder whose audio never leaves this machine, however it is named."""
    places = (source, _real(source))
    return any(
        place.is_relative_to(folder)
        for one in watched_folders(settings)
        if one.private
        for place, folder in zip(places, (one.path, _real(one.path)), strict=True)
    )


def may_upload(settings: Settings, source: Path) -> Answer:
    """Whether the file's audio may be sent: what its watched folder says, else `musicgpt.consent`."""
    folder = folder_of(settings, source)
    upload = folder.upload if folder else "default"
    return settings.musicgpt.consent if upload == "default" else upload


def load(bridge_home: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of `bridge_home`; defaults where there is no config.toml.

    Raises ConfigError that lists every fault with its line.
    """
    path = bridge_home / CONFIG_NAME
    return parse(_read(path), path, os.environ if environment is None else environment)


def parse(text: str, path: Path, environment: Mapping[str, str]) -> Settings:
    """The settings in a text; `path` is where it stands, or will. Raises ConfigError as `load` does."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, remedy = syntax_fault(error)
        raise ConfigError(message, file=path, remedy=remedy) from error
    origins = _apply_environment(data, environment)
    faults: list[str] = []
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        faults += faults_of(error, Settings, text, elsewhere=origins)
    faults += _overlaps(data.get("folders"), text)
    faults += _unknown_variables(environment)
    if faults:
        raise ConfigError(listed(faults), file=path)
    return settings


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"it cannot be read: {error}.", file=path, remedy="It must be a UTF-8 text that you may read."
        ) from error


_TABLES: Mapping[str, type[BaseModel]] = {
    "engine": EngineSettings,
    "server": ServerSettings,
    "musicgpt": MusicGPTSettings,
    "midi": MidiSettings,
}
_TOP_KEYS = ("tempo_bpm", "hear_tempo", "log_level")


def _variable(place: Place) -> str:
    return "_".join(("bridge", *map(str, place))).upper()


def _known_places() -> Iterator[Place]:
    for name, table in _TABLES.items():
        yield from ((name, key) for key in table.model_fields)
    yield from ((key,) for key in _TOP_KEYS)


def _apply_environment(data: dict[str, Any], environment: Mapping[str, str]) -> dict[Place, str]:
    """Puts the values of environment variables over those of the file; tells which came from where."""
    origins: dict[Place, str] = {}
    for place in _known_places():
        name = _variable(place)
        *tables, key = map(str, place)
        table = data.setdefault(tables[0], {}) if tables and name in environment else data
        if name in environment and isinstance(table, dict):
            table[key] = environment[name]
            origins[place] = name
    return origins


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables that begin like ours and are none. (Others that begin with BRIDGE_ may be anybody's.)"""
    known = [_variable(place) for place in _known_places()]
    ours = tuple(f"BRIDGE_{name}_".upper() for name in _TABLES)
    for name in sorted(environment):
        if name.upper().startswith(ours) and name.upper() not in known:
            hint = did_you_mean(name, known)
            yield f"{name}: this environment variable is none of the settings. {hint}"


def _overlaps(entries: object, text: str) -> Iterator[str]:
    """Watched folders that are the same, or lie in one that is watched with all below it."""
    lines = lines_of(text)
    folders: list[tuple[int, WatchedFolder]] = []
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        with suppress(ValidationError):  # told already
            folders.append((number, WatchedFolder.model_validate(entry)))
    for (first, one), (second, other) in combinations(folders, 2):
        if how := _overlap(one, other):
            line = at_line(("folders", second, "path"), lines)
            above = at_line(("folders", first, "path"), lines).rstrip(": ")
            yield (
                f"{line}folders[{second + 1}] {other.path} {how} folders[{first + 1}] {one.path} ({above})."
                " A file would be converted twice: take one of them out, or set recursive = false."
            )


def _overlap(one: WatchedFolder, other: WatchedFolder) -> str:
    first, second = _real(one.path), _real(other.path)
    if first == second:
        return "is the same folder as"
    if one.recursive and second.is_relative_to(first):
        return "lies in"
    return "holds" if other.recursive and first.is_relative_to(second) else ""


def _real(path: Path) -> Path:
    """Without links, and without case where the system has none."""
    real = os.path.normcase(os.path.realpath(path))
    return Path(real.casefold() if sys.platform == "darwin" else real)


TEMPLATE = """\
# DAW Bridge. Every line is optional; what is commented out shows the default.

# log_level = "info"            # debug | info | warning | error
# tempo_bpm = 0                 # where neither the file's name nor the preset tells it; 0: not known
# hear_tempo = true             # where nobody tells it, the engine listens for it (a moment); else it is 120

# One block for each folder that a DAW exports to.
[[folders]]
path = {in_path}
project_folder = {out_path}     # results go here; without it they lie beside the bounce
# preset = "audio-to-midi"      # `bridge presets` lists them
# recursive = true              # folders below it too
# private = false               # true: its audio never leaves this machine
# upload = "default"            # may its audio be sent to MusicGPT: ask (once) | always | never
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

# The MusicGPT API. Its key is kept by `bridge login`, never in this file.
[musicgpt]
# plan = "payg"                 # free | payg | plus | pro: prices and limits follow it
# consent = "ask"               # before the first upload of a folder: ask | always | never
# cap_conversion_usd = 1.0      # nothing is sent that would cost more than this
# cap_day_usd = 5.0             # the same for all of a day
# cap_project_usd = 50.0        # the same for all of one project folder
# allow_unpriced = false        # true: also what the vendor's list has no price for
# resubmit = "ask"              # a request of which nobody knows whether it arrived: ask | never | always
# base_url = "https://api.musicgpt.com/api/public"
# webhook_url = ""              # an https address of this machine, where there is one
# webhook_port = 0              # the local port behind that address
"""


def template() -> str:
    """A config.toml that watches the default folder and shows every setting."""
    folder = default_folders()[0]
    in_path, out_path = _quoted(folder.path), _quoted(folder.project_folder)
    return TEMPLATE.format(in_path=in_path, out_path=out_path) + CONTROLS_TEMPLATE


def write_template(bridge_home: Path) -> Path:
    """Writes a commented config.toml and gives its path.

    Raises ConfigError where there is one already: it is never overwritten.
    """
    path = bridge_home / CONFIG_NAME
    text = template()
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
    """As a TOML string, a literal one where possible: backslashes of Windows stay readable."""
    text = str(path)
    return json.dumps(text, ensure_ascii=False) if "'" in text else f"'{text}'"
