"""Everything that can go wrong, as the musician sees it: what happened, in which file, what to do.

BridgeError
├── WrongUse            the command line, the configuration or a preset is at fault (exit code 2)
│   ├── ConfigError     every fault of a configuration at once
│   └── PresetError     every fault of a preset at once
├── AudioError          a file that is no audio, is damaged, or is of a kind that cannot be read here
├── ProjectFileError    a DAW's project file that cannot be read
├── ModelError          a model's weights are missing or not the ones that were promised
├── ConverterError      what a converter can answer instead of a result
│   ├── NotSent         the request never left: trying again is safe
│   ├── OutcomeUnknown  the request may have arrived: never sent again by itself
│   ├── TryLater        refused for now, with the time to wait
│   ├── TicketLost      the converter does not know this ticket any more
│   ├── Rejected        refused for good; the same request would be refused again
│   │   ├── NoKey       there is no key, or the converter does not take it
│   │   ├── NoCredit    the account has not enough for it
│   │   └── NotAllowed  a private folder, or a cap of the musician's own
│   ├── ChargedFailure  it was accepted and then failed: it may have been charged
│   ├── NeedsConsent    the musician is asked first whether it may be sent
│   └── PaidAgain       it may have been charged already: the musician is asked whether to pay once more
├── WorkerError         an engine process
│   ├── WorkerDied      ended without an answer
│   ├── WorkerOutOfMemory
│   └── Cancelled       asked to stop, and did
├── DeliveryError       a result could not be put where it belongs; it is kept and tried again
├── NoMidi              there is no MIDI port, or nobody to play
└── JournalError        the journal
    ├── StaleJobError   somebody else changed the row first
    ├── SameUnderWayError  the same conversion is under way in another row
    └── HomeInUse       another bridge owns this BRIDGE_HOME
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar


class BridgeError(Exception):
    """Base of all errors of the bridge.

    `message` says what happened, `file` in which file, `remedy` what to do about it.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "", file: Path | str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.file = str(file) if file is not None else None

    def __str__(self) -> str:
        where = f"{Path(self.file).name}: " if self.file else ""
        if not self.remedy:
            return f"{where}{self.message}"
        # A list of faults stands on lines of its own, and so does what to do about it.
        stop = "" if self.message.endswith((".", "!", "?", ":")) else "."
        gap = "\n" if "\n" in self.message else f"{stop} "
        return f"{where}{self.message}{gap}{self.remedy}"

    def to_json(self) -> dict[str, Any]:
        """The error as plain data: `code`, `message`, `remedy`, `file`."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy, "file": self.file}


class WrongUse(BridgeError):
    code = "wrong-use"
    exit_code = 2


class ConfigError(WrongUse):
    code = "config"


class PresetError(WrongUse):
    code = "preset"


class AudioError(BridgeError):
    code = "audio"


class ProjectFileError(BridgeError):
    code = "project-file"


class ModelError(BridgeError):
    code = "model"


class ConverterError(BridgeError):
    code = "converter"


class NotSent(ConverterError):
    code = "not-sent"


class OutcomeUnknown(ConverterError):
    code = "outcome-unknown"


class TryLater(ConverterError):
    """Refused for now; `wait_s` seconds later it may be accepted."""

    code = "try-later"

    def __init__(
        self, message: str, *, wait_s: float, remedy: str = "", file: Path | str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy, file=file)
        self.wait_s = wait_s

    def to_json(self) -> dict[str, Any]:
        """As for every error, and `wait_s`."""
        return {**super().to_json(), "wait_s": self.wait_s}


class TicketLost(ConverterError):
    code = "ticket-lost"


class Rejected(ConverterError):
    code = "rejected"


class NoKey(Rejected):
    code = "no-key"


class NoCredit(Rejected):
    code = "no-credit"


class NotAllowed(Rejected):
    code = "not-allowed"


class ChargedFailure(ConverterError):
    """Accepted, then failed: doing it again may cost again, so nobody does that without being asked."""

    code = "charged-failure"


class NeedsConsent(ConverterError):
    code = "needs-consent"


class PaidAgain(ConverterError):
    code = "paid-again"


class WorkerError(BridgeError):
    code = "worker"


class WorkerDied(WorkerError):
    code = "worker-died"


class WorkerOutOfMemory(WorkerError):
    code = "worker-out-of-memory"


class Cancelled(WorkerError):
    code = "cancelled"


class DeliveryError(BridgeError):
    code = "delivery"


class NoMidi(BridgeError):
    """There is no MIDI port, or nobody to play."""

    code = "no-midi"


class JournalError(BridgeError):
    code = "journal"


class StaleJobError(JournalError):
    code = "stale"


class SameUnderWayError(JournalError):
    """The same conversion of the same samples is under way in another row; it is not begun twice."""

    code = "same-under-way"


class HomeInUse(JournalError):
    code = "home-in-use"


def _all_below(root: type[BridgeError]) -> dict[str, type[BridgeError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_all_below(child))
    return found


def from_json(data: dict[str, Any]) -> BridgeError:
    """The error that `to_json` described, for one that crossed a process border."""
    kind = _all_below(BridgeError).get(data.get("code", ""), BridgeError)
    message = data.get("message") or "unknown error"
    remedy, file = data.get("remedy") or "", data.get("file")
    if issubclass(kind, TryLater):
        return kind(message, wait_s=float(data.get("wait_s", 1.0)), remedy=remedy, file=file)
    return kind(message, remedy=remedy, file=file)
