"""`bridge doctor`: each thing that the bridge needs, looked at, with its remedy.

Each check is a function that gives rows; one that stumbles is a failed row and not the end.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from bridge.errors import BridgeError, ModelError

if TYPE_CHECKING:
    from bridge.config import Settings, WatchedFolder

PYTHONS = ((3, 11), (3, 13))
LITTLE_DISK_MB = 1000
NO_DISK_MB = 50
ENGINE_DEADLINE_S = 60.0
CONNECT_WITHIN_S = 3.0
PARTS_NAME = "daw-bridge-parts.json"


State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One row: `what` was found, and what to do where it is not "ok"."""

    name: str
    state: State
    what: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(home: Path) -> Iterator[Check]:
    """All checks, one after the other; starts an engine process for one of them."""
    for name, check in CHECKS:
        try:
            yield from check(home)
        except BridgeError as error:
            where = f"{error.file}: " if error.file else ""
            yield Check(name, "fail", f"{where}{error.message}", error.remedy)
        except Exception as error:  # noqa: BLE001  a check that stumbles is itself a finding
            yield Check(
                name, "fail", f"{type(error).__name__}: {error}", "Report this, with logs/bridge.log."
            )


def _python(_home: Path) -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]
    remedy = "Use Python 3.11, 3.12 or 3.13; with another one nobody has tried."
    yield Check("python", "ok" if fits else "warn", f"{version}, {sys.executable}", remedy)


def _home(home: Path) -> Iterator[Check]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        _write_something(home)
    except OSError as error:
        yield Check(
            "home", "fail", f"{home}: {error.strerror or error}", "Set BRIDGE_HOME to another folder."
        )
        return
    yield Check("home", "ok", str(home))
    free_mb = shutil.disk_usage(home).free // 1_000_000
    state: State = "fail" if free_mb < NO_DISK_MB else "warn" if free_mb < LITTLE_DISK_MB else "ok"
    yield Check("disk", state, f"{free_mb} MB free", "Make room on the disk of BRIDGE_HOME.")


def _write_something(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        file.write(b"x")


def _settings(home: Path) -> Settings:
    """The settings, or the default ones where the file has faults: those are a row of their own."""
    from bridge import config

    try:
        return config.load(home)
    except BridgeError:
        return config.Settings()


def _config(home: Path) -> Iterator[Check]:
    from bridge import config

    path = home / config.CONFIG_NAME
    config.load(home)
    what = str(path) if path.exists() else "there is no config.toml, so the defaults hold (`bridge init`)"
    yield Check("config", "ok", what)


def _folders(home: Path) -> Iterator[Check]:
    from bridge import config

    settings = _settings(home)
    for folder in config.watched_folders(settings):
        yield _folder(folder, is_default=not settings.folders)
        if folder.project_folder is not None:
            yield _project_folder(folder.project_folder)


def _folder(folder: WatchedFolder, *, is_default: bool) -> Check:
    name, path = "watched folder", folder.path
    if not path.is_dir():
        if is_default:
            return Check(name, "ok", f"{path}: made at the first start")
        return Check(name, "warn", f"{path} is not there", "Make the folder, or plug its drive in.")
    try:
        with os.scandir(path) as entries:
            next(entries, None)
    except OSError as error:
        return Check(name, "fail", f"{path}: {error.strerror or error}", "Make it readable for you.")
    return Check(name, "ok", str(path))


def _project_folder(path: Path) -> Check:
    there = next(one for one in (path, *path.parents) if one.exists())
    try:
        _write_something(there)
    except OSError as error:
        why = f"{path} cannot be written to: {error.strerror or error}"
        return Check("project folder", "fail", why, "Make it writable for you, or name another one.")
    return Check("project folder", "ok", str(path) + ("" if there == path else ": made when needed"))


def _presets(home: Path) -> Iterator[Check]:
    from bridge.presets import PresetShelf

    loaded = PresetShelf(home / "presets").all()
    for one in loaded:
        if one.error:
            yield Check("preset", "fail", f"{one.path}: {one.error.message}", one.error.remedy or "Mend it.")
    fine = {one.name for one in loaded if one.preset}
    yield Check("presets", "ok" if fine else "fail", ", ".join(sorted(fine)) or "none", "Install again.")
    for folder in _settings(home).folders:
        if folder.preset not in fine:
            what = f"{folder.path} uses '{folder.preset}', which is not usable"
            yield Check("preset", "fail", what, "`bridge presets` lists them.")


def _models(home: Path) -> Iterator[Check]:
    from bridge.engine.models import ModelStore

    store = ModelStore(home / "models")
    for state in store.states():
        name = state.model.name
        if state.is_awaited:
            when = "if you name it" if state.model.only_if_named else "when it is first used"
            yield Check("model", "ok", f"{name}: fetched {when}")
            continue
        if state.is_left_out:
            enables = " and no ".join(state.model.enables)
            yield Check("model", "warn", f"{name}: not here; without it no {enables}", state.remedy)
            continue
        try:
            yield Check("model", "ok", f"{name}: as promised ({store.verify(name)})")
        except ModelError as error:
            yield Check("model", "fail", error.message, error.remedy)


def _engine(home: Path) -> Iterator[Check]:
    """Starts a worker of its own, as the daemon does, and loads the model into it."""
    from concurrent.futures import TimeoutError as TookTooLong

    from bridge.engine.models import ModelStore
    from bridge.engine.worker import Worker, WorkerOptions

    try:
        model = ModelStore(home / "models").path("basic-pitch")
    except ModelError:
        yield Check("engine", "warn", "not tried: its model is missing", "Run: bridge models pull")
        return
    worker = Worker("doctor", WorkerOptions(memory_mb=_settings(home).engine.memory_mb))
    try:
        worker.call("warm", {"models": {"basic-pitch": str(model)}}).future.result(ENGINE_DEADLINE_S)
    except TookTooLong:
        yield Check("engine", "fail", f"it did not start in {ENGINE_DEADLINE_S:g} s", "Is the machine busy?")
    else:
        yield Check("engine", "ok", "it starts and loads its model")
    finally:
        worker.stop()


# The MusicGPT API: nobody needs it, so what is missing is told and is no fault


def _key(_home: Path) -> Iterator[Check]:
    from bridge.keys import KeyRing

    ring = KeyRing()
    kept = ring.where()
    if kept.secret is None:
        why = "`bridge login` keeps one" if kept.place == "nowhere" else kept.what
        yield Check("key", "ok", f"none, so nothing is sent to MusicGPT ({why})")
        return
    ring.get()  # raises for what can be none
    yield Check("key", "ok", f"{kept.secret}, in {kept.what}")


def _keyring(_home: Path) -> Iterator[Check]:
    from bridge.keys import VARIABLE, KeyRing

    try:
        yield Check("keyring", "ok", KeyRing().backend_name())
    except BridgeError:
        yield Check("keyring", "ok", f"none here; a MusicGPT key can be in the variable {VARIABLE}")


def _money(home: Path) -> Iterator[Check]:
    settings = _settings(home).musicgpt
    yield Check("plan", "ok", settings.plan)
    caps = (
        ("a day", settings.cap_day_usd),
        ("a project", settings.cap_project_usd),
        ("a conversion", settings.cap_conversion_usd),
    )
    yield Check("caps", "ok", ", ".join(f"${cap:.2f} {what}" for what, cap in caps))


def _address(home: Path) -> Iterator[Check]:
    """Connects and no more, and only where there is a key: without one nobody goes there."""
    from bridge.keys import KeyRing

    url = _settings(home).musicgpt.base_url
    if KeyRing().where().secret is None:
        yield Check("address", "ok", f"{url}: not tried without a key")
    elif getproxies().keys() & {"https", "all"}:
        yield Check("address", "ok", f"{url}: not tried, since a proxy is set here")
    else:
        try:
            _connect(url)
        except OSError as error:
            what = f"{url} cannot be reached: {error.strerror or error}"
            yield Check("address", "warn", what, "Is this computer online? What is local works all the same.")
        else:
            yield Check("address", "ok", f"{url} answers")


def _connect(url: str) -> None:
    """Raises OSError where nobody is there, or nobody who can prove it."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    with socket.create_connection((host, port), timeout=CONNECT_WITHIN_S) as line:
        if secure:
            ssl.create_default_context().wrap_socket(line, server_hostname=host).close()


def _webhook(home: Path) -> Iterator[Check]:
    settings = _settings(home).musicgpt
    url, port = settings.webhook_url, settings.webhook_port
    if not url:
        yield Check("webhook", "ok", "none: results are asked for, which needs no address")
    elif not url.startswith("https://"):
        yield Check("webhook", "warn", f"{url} is not https", "Anybody between could read it: take https.")
    elif not port:
        what = f"{url} leads to a port that is another one at each start"
        yield Check("webhook", "warn", what, "Set musicgpt.webhook_port to the port behind that address.")
    else:
        yield Check("webhook", "ok", f"{url}, behind it port {port}")


def _ffmpeg(_home: Path) -> Iterator[Check]:
    from bridge.media.audio_header import FFMPEG_SUFFIXES

    found = shutil.which("ffmpeg")
    kinds = ", ".join(sorted(FFMPEG_SUFFIXES))
    if found:
        yield Check("ffmpeg", "ok", f"{found} reads {kinds}")
    else:
        yield Check("ffmpeg", "warn", f"not found: {kinds} cannot be read", _INSTALL_FFMPEG)


_INSTALL_FFMPEG = (
    "Only if you bounce such files: apt install ffmpeg, dnf install ffmpeg-free, brew install ffmpeg, "
    "or winget install ffmpeg."
)


def _daemon(home: Path) -> Iterator[Check]:
    from bridge.cli.connection import DaemonConnection
    from bridge.owner import is_owned, read_note

    if not is_owned(home):
        yield Check("daemon", "ok", "not running (`bridge run` starts it)")
        return
    note = read_note(home)
    yield Check("daemon", "ok", f"running (process {note.pid})" if note else "a bridge is at work")
    if note is None or note.port == 0:
        what = "the running bridge has none"
        yield Check("control API", "warn", what, "server.enabled = true in config.toml turns it on.")
        return
    DaemonConnection(home, note).status()
    yield Check("control API", "ok", f"answers on {note.host}:{note.port}")


def _midi(home: Path) -> Iterator[Check]:
    from bridge import doctor_controls
    from bridge.cli.connection import DaemonConnection
    from bridge.owner import is_owned, read_note

    settings, note = _settings(home), read_note(home)
    told = None
    if is_owned(home) and note is not None and note.port:
        told = DaemonConnection(home, note).status()["controls"]
    rows = (doctor_controls.midi(settings, told), doctor_controls.link(settings))
    yield from (Check(*row) for row in chain(*rows))


def _controls(home: Path) -> Iterator[Check]:
    from bridge import doctor_controls
    from bridge.presets import PresetShelf

    settings = _settings(home)
    preset = PresetShelf(home / "presets").get
    rows = (doctor_controls.controls(settings, home, preset), doctor_controls.hotkeys(settings))
    yield from (Check(*row) for row in chain(*rows))


def _parts(_home: Path) -> Iterator[Check]:
    """What scripts/run.py could not install: it works without, but something is missing."""
    path = Path(sys.prefix) / PARTS_NAME
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["parts"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # Not set up by scripts/run.py.
    for row in rows:
        # Programs and models have rows of their own above, looked at now and not at the set-up.
        if row.get("kind") == "part" and not row.get("ready"):
            what = f"{row.get('name')} is missing ({row.get('gives')}): {row.get('why')}"
            yield Check("part", "warn", what, str(row.get("remedy", "")))


CHECKS: tuple[tuple[str, Callable[[Path], Iterator[Check]]], ...] = (
    ("python", _python),
    ("home", _home),
    ("config", _config),
    ("watched folder", _folders),
    ("presets", _presets),
    ("model", _models),
    ("engine", _engine),
    ("ffmpeg", _ffmpeg),
    ("keyring", _keyring),
    ("key", _key),
    ("plan", _money),
    ("address", _address),
    ("webhook", _webhook),
    ("control API", _daemon),
    ("midi", _midi),
    ("pads", _controls),
    ("part", _parts),
)
