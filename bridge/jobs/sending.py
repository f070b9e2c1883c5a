"""From the intent on disk to the ticket on disk: nothing is sent twice, whatever happens between the two.

What is on its way when the bridge or the line breaks is UNKNOWN, and never sent again by itself, unless the
converter says that doing it twice costs nothing. The musician answers it (`resolve`), or a callback does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from bridge.clock import Clock
from bridge.conversions.model import Conversion
from bridge.converters.base import ConversionRequest, Converter, Ticket
from bridge.crash_points import reach
from bridge.errors import (
    BridgeError,
    Cancelled,
    ConverterError,
    NeedsConsent,
    NotSent,
    OutcomeUnknown,
    PaidAgain,
    SameUnderWayError,
    StaleJobError,
    TicketLost,
    TryLater,
    WrongUse,
)
from bridge.jobs.budget import Bill, usd_words
from bridge.jobs.clearance import SendingRules, clear
from bridge.jobs.events import EventFeed
from bridge.jobs.model import ConversionState
from bridge.jobs.records import ConversionRecord
from bridge.jobs.setbacks import MAX_ATTEMPTS, Setbacks
from bridge.jobs.store import Journal

log = logging.getLogger(__name__)

C = ConversionState

SAME_UNDER_WAY_S = 5.0
"""How soon a conversion looks again whether its twin has ended; it is also woken by that."""
LOOK_EVERY_S = 0.25
"""How often an upload looks whether its job was cancelled."""

Fate = Literal["resubmit", "forget", "ticket"]


class Sending:
    def __init__(
        self,
        journal: Journal,
        converters: Mapping[str, Converter],
        feed: EventFeed,
        clock: Clock,
        setbacks: Setbacks,
        rules: SendingRules,
    ) -> None:
        self._journal = journal
        self._converters = converters
        self._feed = feed
        self._clock = clock
        self._setbacks = setbacks
        self._rules = rules
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Uploads are broken off: what has not arrived whole was not sent, and is sent at the next start."""
        self._stopping.set()

    def send(
        self, conversion: ConversionRecord, converter: Converter, request: ConversionRequest, row: Conversion
    ) -> bool:
        """A queued conversion is sent, once. True: it runs, go on at once. Raises StaleJobError."""
        try:
            bill = clear(self._journal, self._rules, conversion, row, converter, request)
        except (NeedsConsent, PaidAgain) as question:
            quote = converter.quote(conversion.conversion, request.parameters, request.duration_s)
            self._journal.move_conversion(
                conversion.id,
                C.QUEUED,
                C.ASKING,
                error=question,
                quote_usd=quote.usd,
                cache_key=request.key,
            )
            return False
        except BridgeError as refusal:
            return self._setbacks.fail(conversion, refusal)
        reach("submit-before-intent")
        try:
            self._write_intent(conversion, request, row, bill)
        except SameUnderWayError:
            look_again = self._clock.wall() + SAME_UNDER_WAY_S
            self._journal.postpone_conversion(
                conversion.id, request.key, look_again, error=self._why_it_waits(request.key)
            )
            return False
        except ConverterError as cap:
            return self._setbacks.fail(conversion, cap)
        reach("submit-after-intent")
        whole = replace(request, nonce=bill.nonce if bill else "", on_progress=self._watch(conversion))
        try:
            return self._hand_over(conversion, converter, whole)
        except StaleJobError:
            raise
        except Exception:
            self.nobody_knows(conversion)  # so that it takes no place at the converter
            raise

    def _why_it_waits(self, key: str) -> SameUnderWayError | None:
        """What the musician must know where a twin does not go on without an answer."""
        twin = self._journal.twin_in_flight(key)
        if twin is None or twin.state is not C.UNKNOWN:
            return None
        return SameUnderWayError(
            f"the very same waits for your answer in job {twin.job_id}.",
            remedy=f"`bridge show {twin.job_id}` says what to answer; then this one goes on by itself.",
        )

    def _write_intent(
        self, conversion: ConversionRecord, request: ConversionRequest, row: Conversion, bill: Bill | None
    ) -> None:
        self._journal.move_conversion(
            conversion.id,
            C.QUEUED,
            C.SUBMITTING,
            bill=bill,
            cache_key=request.key,
            deterministic=int(row.deterministic),
            started_at=self._clock.wall(),
        )

    def _hand_over(
        self, conversion: ConversionRecord, converter: Converter, request: ConversionRequest
    ) -> bool:
        try:
            ticket = converter.submit(request)
        except OutcomeUnknown as error:
            return self._unknown(conversion, error)
        except Cancelled as error:
            # By us, in mid-upload: the row is cancelled already, or the bridge ends.
            return self._was_not_sent(conversion, converter, NotSent(f"it was broken off: {error}"))
        except BridgeError as error:
            return self._was_not_sent(conversion, converter, error)
        reach("submit-after-call")
        try:
            self._journal.move_conversion(conversion.id, C.SUBMITTING, C.RUNNING, ticket=ticket)
        except StaleJobError:
            # The job was cancelled when nobody knew its ticket.
            if not self._journal.keep_ticket(conversion.id, ticket):
                converter.cancel(ticket)
            raise
        except Exception:
            # A disk that is full right now: the log may be the only place left for what was paid for.
            log.exception("job %d: the ticket %s could not be written down", conversion.job_id, ticket)
            raise
        reach("submit-after-ticket")
        return True

    def _was_not_sent(self, conversion: ConversionRecord, converter: Converter, error: BridgeError) -> bool:
        # A line that is down comes back: who makes music on a train is not told to try again by hand.
        comes_back = converter.remote and isinstance(error, NotSent)
        try:
            return self._setbacks.not_accepted(
                conversion,
                C.SUBMITTING,
                error,
                resume=C.QUEUED,
                without_end=comes_back,
                pay_again=int(conversion.pay_again),  # a yes holds until it was sent
            )
        except StaleJobError:
            self._journal.was_not_sent(conversion.id)
            raise

    def _watch(self, conversion: ConversionRecord) -> Callable[[float, str], None]:
        """Tells how far an upload is, and breaks it off where its job was cancelled meanwhile."""
        looked_at = self._clock.monotonic()

        def on_progress(fraction: float, doing: str) -> None:
            nonlocal looked_at
            now = self._clock.monotonic()
            if now - looked_at < LOOK_EVERY_S:
                return
            looked_at = now
            if self._stopping.is_set():
                raise Cancelled("the bridge is being stopped.")
            if self._journal.conversion(conversion.id).state is not C.SUBMITTING:
                raise Cancelled("the job was cancelled.")
            self._feed.progress(conversion.job_id, fraction=fraction, doing=doing, step=conversion.step)

        return on_progress

    # Once more

    def retry(self, job_id: int, *, pay: bool) -> list[int]:
        """What failed or was cancelled goes on; gives the parts that must be read again first.

        A ticket that is still good is asked for again, and costs nothing. Raises PaidAgain, with the price,
        where it may cost once more, unless `pay`.
        """
        risky_usd = self._journal.risked_by_retry(job_id)
        if risky_usd is not None and not pay:
            price = f"about {usd_words(risky_usd)}" if risky_usd else "what nobody has told a price for"
            raise PaidAgain(
                "what is tried again may have been charged already; sending it again costs"
                f" {price} once more.",
                remedy=f"`bridge retry {job_id} --yes` sends it again.",
            )
        if pay:
            self._journal.pay_again(job_id)
        keeping = [name for name, one in self._converters.items() if not one.repeatable]
        return self._journal.retry_job(job_id, keeping=keeping, pay=pay)

    # What nobody knows

    def nobody_knows(self, conversion: ConversionRecord) -> bool:
        """What was being sent when the bridge was stopped, or when something unheard-of happened."""
        converter = self._converters.get(conversion.converter)
        if converter is not None and converter.repeatable:
            self._journal.move_conversion(conversion.id, C.SUBMITTING, C.QUEUED)
            return True
        stopped = OutcomeUnknown(
            "the bridge was stopped while this was being sent; it may have arrived, and may cost money."
        )
        return self._unknown(conversion, stopped)

    def _unknown(self, conversion: ConversionRecord, error: OutcomeUnknown) -> bool:
        """As the musician's settings say: ask, send it again, or leave it."""
        job = conversion.job_id
        if self._rules.resubmit == "always" and self._journal.sent_in_vain(conversion.id) + 1 < MAX_ATTEMPTS:
            self._journal.move_conversion(
                conversion.id, C.SUBMITTING, C.QUEUED, pay_again=1, attempt=conversion.attempt + 1
            )
            return False
        if self._rules.resubmit == "never":
            left = OutcomeUnknown(error.message, remedy=f"`bridge retry {job} --yes` sends it again.")
            return self._setbacks.fail(conversion, left, state=C.SUBMITTING)
        remedy = (
            f"`bridge resolve {job} --ticket ID` if MusicGPT shows it as a task, `bridge resolve {job}"
            f" --resubmit` to send it again (it may cost twice), `bridge resolve {job} --forget` to leave it."
        )
        asked = OutcomeUnknown(error.message, remedy=remedy)
        self._journal.move_conversion(conversion.id, C.SUBMITTING, C.UNKNOWN, error=asked)
        return False

    def resolve(self, job_id: int, fate: Fate, *, task: str = "", of: str = "") -> list[int]:
        """The musician's answer to what is unknown in a job; gives the conversions that it was about.

        `of` names one of several, by its step or its file. A ticket is also taken for what was given up.
        Raises WrongUse where there is nothing to answer, or a ticket that could belong to several.
        """
        detail = self._journal.detail(job_id)
        open_questions = list(filter(_is_unanswered, detail.conversions)) if detail else []
        if fate == "ticket" and not open_questions:
            open_questions = self._journal.given_up_unknown(job_id)
        open_questions = [one for one in open_questions if of in ("", *self._names(one))]
        if not open_questions:
            raise WrongUse(
                f"in job {job_id} there is nothing that nobody knows.",
                remedy=f"`bridge show {job_id}` tells it.",
            )
        if fate == "ticket":
            self._adopt(open_questions, task)
            return [open_questions[0].id]
        for one in open_questions:
            if fate == "resubmit":
                self._journal.move_conversion(one.id, one.state, C.QUEUED, pay_again=1, ticket=None)
            elif one.state is C.UNKNOWN:
                left = OutcomeUnknown("you have left it; it may have been charged.")
                self._journal.move_conversion(one.id, C.UNKNOWN, C.FAILED, error=left)
        return [one.id for one in open_questions]

    def _names(self, conversion: ConversionRecord) -> tuple[str, ...]:
        """What the musician may call it."""
        file = self._journal.part(conversion.part_id).path
        return conversion.step, conversion.conversion, file.name, file.stem, str(file)

    def _adopt(self, open_questions: list[ConversionRecord], task: str) -> None:
        conversion = open_questions[0]
        if len(open_questions) > 1:
            which = ", ".join(f"{one.step} of {self._names(one)[2]}" for one in open_questions)
            raise WrongUse(
                f"a ticket is for one conversion, and {len(open_questions)} are unknown here: {which}.",
                remedy="Say which one with --of, by the step or by the file.",
            )
        ticket = self._converters[conversion.converter].adopt(conversion.conversion, task)
        self._journal.move_conversion(conversion.id, conversion.state, C.RUNNING, ticket=ticket)

    def called_back(self, nonce: str, task: str | None) -> None:
        """Somebody who has our nonce says that its conversion has changed: the converter is asked.

        Of one that nobody knew of, that settles what its ticket is, if the converter knows that ticket.
        """
        conversion = self._journal.conversion_of_nonce(nonce)
        converter = self._converters.get(conversion.converter) if conversion else None
        if conversion is None or converter is None:
            return
        if conversion.state is C.RUNNING:
            converter.wake(Ticket(conversion.ticket or ""))
            self._journal.ask_now(conversion.id)
        elif conversion.state is C.UNKNOWN and task:
            try:
                ticket = converter.adopt(conversion.conversion, task)
                converter.poll(Ticket(ticket))
            except (TicketLost, WrongUse):
                return
            except TryLater as error:
                log.info("job %d: its ticket came with a callback; %s", conversion.job_id, error)
            self._journal.move_conversion(conversion.id, C.UNKNOWN, C.RUNNING, ticket=ticket)


def _is_unanswered(one: ConversionRecord) -> bool:
    """Nobody knows what became of it; or it was answered with a ticket that MusicGPT does not know."""
    lost = (one.error or {}).get("code") == TicketLost.code
    return one.state is C.UNKNOWN or (one.state is C.FAILED and lost)
