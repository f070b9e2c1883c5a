"""What is asked before anything leaves this machine: is it private, may it be sent, what will it cost?"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.config import Answer
from bridge.conversions.model import Conversion
from bridge.converters.base import ConversionRequest, Converter, Quote
from bridge.errors import NeedsConsent, NotAllowed, PaidAgain, Rejected
from bridge.jobs.budget import NO_CAPS, Bill, Caps, usd_words
from bridge.jobs.records import ConversionRecord, JobRecord
from bridge.jobs.views import Views
from bridge.presets import Preset, refuse_drafts


@dataclass(frozen=True)
class SendingRules:
    """The musician's settings on what may be sent; the defaults ask before everything."""

    caps: Caps = NO_CAPS
    resubmit: Answer = "ask"
    """What becomes of a request of which nobody knows whether it arrived."""
    may_upload: Callable[[Path], Answer] = lambda _source: "ask"
    is_private: Callable[[Path], bool] = lambda _source: False
    folder_of: Callable[[Path], Path] = lambda source: source.parent
    """The folder for which the musician is asked: what is said holds for everything below it."""


def clear(
    journal: Views,
    rules: SendingRules,
    conversion: ConversionRecord,
    row: Conversion,
    converter: Converter,
    request: ConversionRequest,
) -> Bill | None:
    """The bill of what may be sent; None where it costs nothing and stays here.

    Raises Rejected for what is incomplete, PresetError for a draft that nobody asked for, NotAllowed for what
    must not be sent, NeedsConsent and PaidAgain where the musician is asked first.
    """
    lacking = row.missing(request.parameters)
    if lacking:
        raise Rejected(f"{'; '.join(lacking)}.", remedy="Say it with --set NAME=VALUE, or in the preset.")
    job, part = journal.job(conversion.job_id), journal.part(conversion.part_id)
    assert job is not None
    if not converter.remote:
        _check_drafts(job, conversion)
        _check_length(row, converter.name, request)
        return None
    _check_private(rules, job, (part.path, *named_files(request.parameters)))
    quote = converter.quote(conversion.conversion, request.parameters, request.duration_s)
    if job.again_of is not None:
        raise NotAllowed(
            f"job {job.again_of} has no result to put back; this would send it again{_for(quote)}.",
            remedy="`bridge convert` makes it anew.",
        )
    for file in _sent_files(part.path, row, request.parameters):
        _check_consent(journal, rules, file, quote)
    if not conversion.pay_again:
        _check_paid(journal, request.key, job, quote)
    return Bill(quote.usd, rules.caps, nonce=uuid.uuid4().hex)


def _check_drafts(job: JobRecord, conversion: ConversionRecord) -> None:
    """Once more: whoever was to do it when the job was made may not be there any longer."""
    steps = Preset.model_validate(job.preset_data).steps
    step = next((one for one in steps if one.name == conversion.step), None)
    if step is not None and step.converter == "auto":
        refuse_drafts(step, job.overrides, conversion.converter)


def _check_length(row: Conversion, converter: str, request: ConversionRequest) -> None:
    limit_s = row.max_input_s.get(converter, math.inf)
    if request.duration_s > limit_s:
        raise Rejected(
            f"it lasts {request.duration_s / 3600:.1f} h, and {row.name} on this machine takes at most "
            f"{limit_s / 3600:g} h.",
            remedy="Bounce it in shorter parts.",
            file=request.source,
        )


FILES = ("reference_audio_file", "upload_id")
"""Parameters that may name a further file to send."""


def named_files(parameters: Mapping[str, Any]) -> list[Path]:
    # os.path: where a name is no user's, it stays as it is, and the client says that there is no such file.
    given = [str(parameters[name]) for name in FILES if parameters.get(name)]
    paths = [Path(os.path.expanduser(one)) for one in given]  # noqa: PTH111
    return [path for path in paths if path.is_absolute()]  # a handle that MusicGPT gave is no path


def _check_private(rules: SendingRules, job: JobRecord, files: Iterable[Path]) -> None:
    for file in files:
        if not job.private and not rules.is_private(file):
            continue
        raise NotAllowed(
            "this audio is private, so it does not leave this machine.",
            file=file,
            remedy="`bridge conversions` says what the local engine can do; or take private = true out.",
        )


def asks_for_consent(
    journal: Views, rules: SendingRules, source: Path, row: Conversion, parameters: Mapping[str, Any]
) -> bool:
    """Whether the musician is asked first: this is the first upload of a folder."""
    return any(_is_new(journal, rules, file) for file in _sent_files(source, row, parameters))


def _is_new(journal: Views, rules: SendingRules, file: Path) -> bool:
    return rules.may_upload(file) == "ask" and not journal.has_consent(file.parent)


def _sent_files(source: Path, row: Conversion, parameters: Mapping[str, Any]) -> list[Path]:
    """Every file that leaves this machine."""
    leaves = row.input != "text" and not parameters.get(f"{row.input}_url")
    return [*([source] if leaves else []), *named_files(parameters)]


def _check_consent(journal: Views, rules: SendingRules, file: Path, quote: Quote) -> None:
    folder = rules.folder_of(file)
    if rules.may_upload(file) == "never":
        raise NotAllowed(
            "the settings say that audio of this folder is never sent.",
            file=file,
            remedy="Change upload or musicgpt.consent in config.toml, or use what the local engine can do.",
        )
    if _is_new(journal, rules, file):
        raise NeedsConsent(
            f"nothing of {folder} has been sent to MusicGPT so far; this would send it there{_for(quote)}.",
            file=file,
            remedy=f'`bridge allow "{folder}"` allows it, for this folder and those below it.',
        )


def _check_paid(journal: Views, key: str, job: JobRecord, quote: Quote) -> None:
    earlier = journal.paid_in_vain(key)
    if earlier is not None and earlier.state == "open":
        raise PaidAgain(
            f"job {earlier.job_id} has sent the very same, and its ticket is still good; sending it again"
            f" costs once more{_for(quote)}.",
            remedy=(
                f"`bridge retry {earlier.job_id}` fetches that result without paying again;"
                f" `bridge retry {job.id} --yes` sends it anew."
            ),
        )
    if earlier is not None:
        raise PaidAgain(
            f"the very same was sent before (job {earlier.job_id}) and may have been charged"
            f" {usd_words(earlier.usd)}; sending it again costs once more{_for(quote)}.",
            remedy=f"`bridge retry {job.id} --yes` sends it again, `bridge cancel {job.id}` leaves it.",
        )


def _for(quote: Quote) -> str:
    return "" if quote.usd is None else f", for about {usd_words(quote.usd)}"
