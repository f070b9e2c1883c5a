"""`bridge serve`: a server that answers as the MusicGPT API does, in the foreground."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from bridge import logs
from bridge.cli import output
from bridge.errors import BridgeError, ModelError, WrongUse
from bridge.home import home

if TYPE_CHECKING:
    from bridge.conversions.model import Plan
    from bridge.server.compatible import CompatibleServer

LOOK_S = 0.25
"""On Windows a signal is noticed only between two waits."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
ANY_KEY = "rehearse"
API_PATH = "/api/public"


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for."""

    host: str
    port: int
    rehearse: bool
    keys: Sequence[str]
    plans: Sequence[str]
    pace_s: float
    faults: Sequence[str]
    as_json: bool


def serve(wishes: Wishes) -> int:
    """Serves until it is told to stop. Raises WrongUse."""
    from bridge.answerers import serving
    from bridge.server.compatible import Options
    from bridge.server.compatible.faults import Fault

    plans = _plans(wishes)
    options = Options(
        host=wishes.host,
        port=wishes.port,
        keys=dict(zip(wishes.keys, plans, strict=True)) if wishes.keys else {},
        plan=plans[0],
        pace_s=wishes.pace_s if wishes.rehearse else 0.0,
        faults=tuple(map(Fault.in_words, wishes.faults)),
    )
    models = home() / "models"
    with (
        _told_to_stop() as told,
        _log(),
        serving(options, models, rehearse=wishes.rehearse, engine_ahead=True) as server,
    ):
        _greet(server, wishes)
        while not told.wait(LOOK_S):
            pass
    if not wishes.as_json:
        output.say("Stopped.")
    return 0


def _plans(wishes: Wishes) -> list[Plan]:
    """A plan for each key; with none of them, the one for any key."""
    from bridge.conversions.model import Plan

    wrong = [plan for plan in wishes.plans if plan not in get_args(Plan)]
    if wrong:
        raise WrongUse(f"there is no plan '{wrong[0]}'.", remedy=f"Known: {', '.join(get_args(Plan))}.")
    wanted = max(1, len(wishes.keys))
    plans = list(wishes.plans) or ["pro"]
    if len(plans) not in (1, wanted):
        raise WrongUse(
            f"{len(plans)} plans for {wanted} keys.", remedy="Give one --plan for all keys, or one for each."
        )
    return cast("list[Plan]", plans * wanted if len(plans) == 1 else plans)


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Set by the first signal to end."""
    told = threading.Event()
    known = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {one: signal.signal(one, lambda *_: told.set()) for one in known}
    try:
        yield told
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _log() -> Iterator[None]:
    """Nothing is written into BRIDGE_HOME: the log lies in a temporary folder while the server runs."""
    with tempfile.TemporaryDirectory(prefix="bridge-log-", ignore_cleanup_errors=True) as folder:
        logs.set_up(Path(folder), level="info", to_terminal=False)
        yield
        logging.shutdown()


def _greet(server: CompatibleServer, wishes: Wishes) -> None:
    from bridge.server.gate import is_loopback

    if not is_loopback(wishes.host) and not wishes.keys:
        output.note(
            f"Warning: other machines can reach {server.address}, and any key is accepted."
            " Set one with --key, or leave --host out."
        )
    for missing in _missing_models():
        output.note(f"Not possible now: audio_to_midi: {missing}")
    facts = _facts(server, wishes)
    if wishes.as_json:
        output.say_json(facts)
        return
    what = "A rehearsal of the MusicGPT API" if wishes.rehearse else "The local engine, as the MusicGPT API"
    output.say(f"{what}: {server.address}")
    if wishes.rehearse:
        output.say("Nothing is paid, nothing leaves this machine. In another terminal:")
    else:
        output.say("In another terminal:")
    output.say(f"  BRIDGE_MUSICGPT_BASE_URL={facts['base_url']} MUSICGPT_API_KEY={facts['key']} bridge run")
    output.say(f"What it was sent: {server.address}/rehearsal/ledger. Ctrl-C stops.")


def _missing_models() -> Iterator[str]:
    """What is said of each model that the notes need and that is not here."""
    from bridge.converters.local import NEEDS_MODELS
    from bridge.engine.models import ModelStore

    store = ModelStore(home() / "models")
    for name in NEEDS_MODELS["audio_to_midi"]:
        try:
            store.path(name)
        except ModelError as error:
            yield str(BridgeError(error.message, remedy=error.remedy))


def _facts(server: CompatibleServer, wishes: Wishes) -> Mapping[str, Any]:
    return {
        "address": server.address,
        "base_url": server.address + API_PATH,
        "port": server.port,
        "pid": os.getpid(),
        "rehearse": wishes.rehearse,
        "key": "<your --key>" if wishes.keys else ANY_KEY,
    }
