"""Jobs that have stopped at a question, in a real journal."""

from __future__ import annotations

from bridge.errors import NeedsConsent, PaidAgain
from bridge.jobs.model import ConversionState as C
from bridge.jobs.store import Journal


def ask(journal: Journal, question: NeedsConsent | PaidAgain) -> None:
    """The one conversion that is queued asks this."""
    (row,) = journal.due_conversions(2e9, 9, states=[C.QUEUED])
    journal.move_conversion(row.id, C.QUEUED, C.ASKING, error=question)
