"""From an answer of the MusicGPT API to artifacts: files fetched and fitted, words and data written down."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bridge.conversions.model import Conversion, Fit, Result
from bridge.conversions.results import Found
from bridge.converters.base import Artifact, ConversionRequest
from bridge.converters.fitting import Fitter, Raw
from bridge.converters.musicgpt.download import FAMILY_OF_SUFFIX, Downloaded, LinkExpired, download
from bridge.converters.musicgpt.outgoing import ALWAYS, sends_source
from bridge.errors import ChargedFailure, TryLater

ORIGINALS = "original"
"""The folder beside the results in which everything lies as it came."""

GATHERED: Mapping[str, tuple[str, ...]] = MappingProxyType({"key_bpm": ("bpm", "key", "key_changes")})
"""Results that are put together from several places of an answer."""

TEXT_FORMATS: Mapping[str, str] = MappingProxyType(
    {"transcript": "transcription_format", "translation": "translation_format"}
)
"""For each text: the parameter that decides what kind of file it is."""

TEXT_TYPES: Mapping[str, str] = MappingProxyType(
    {"txt": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt", "json": "application/json"}
)


@dataclass
class Fetching:
    """One fetch; it may `gather` twice, with fresh links, and keeps what it has got by then."""

    row: Conversion
    request: ConversionRequest
    folder: Path
    fitter: Fitter
    timeouts: tuple[float, float]
    _got: dict[str, Downloaded] = field(default_factory=dict)

    def gather(self, found: Sequence[Found], *, every_link: bool) -> list[Artifact]:
        """The artifacts. With `every_link` an expired one is replaced by another of the same thing.

        Raises LinkExpired, TryLater, ChargedFailure where there is nothing, and what the fitter raises.
        """
        by_role = {one.role: one for one in found}
        linked = self._linked(by_role)
        for one, result in linked:
            if one.role not in self._got:
                self._got[one.role] = self._download(one, result, every_link=every_link)
        artifacts = self._fitted([result for _, result in linked])
        artifacts += self._written(by_role)
        if not artifacts:
            raise ChargedFailure(
                f"MusicGPT has finished {self.row.name}, but gives nothing of what was asked for.",
                remedy="Look at MusicGPT what became of it; `bridge retry JOB` asks before it pays again.",
            )
        return artifacts

    def _linked(self, found: Mapping[str, Found]) -> list[tuple[Found, Result]]:
        """The files to fetch: what was asked for, and stems of names that nobody has documented.

        Where nothing of it is there, everything else is taken: it was paid for.
        """
        links = {role: one for role, one in found.items() if one.form == "link"}
        wanted = {result.role: result for result in self._wanted()}
        known = {result.role: result for result in self.row.results}
        chosen = [role for role in links if role in wanted or role not in known]
        return [(links[role], known.get(role) or self._unheard_of(role)) for role in chosen or links]

    def _wanted(self) -> tuple[Result, ...]:
        return self.row.returns({**self.request.parameters, **ALWAYS.get(self.row.name, {})})

    def _unheard_of(self, role: str) -> Result:
        fits: set[Fit] = {result.fit for result in self.row.results if result.suffix == "wav"}
        return Result(role, "", "", fit=fits.pop() if len(fits) == 1 else "as_is")

    def _download(self, found: Found, result: Result, *, every_link: bool) -> Downloaded:
        originals = self.folder / ORIGINALS
        try:
            originals.mkdir(exist_ok=True)
        except OSError as error:
            raise TryLater(f"the result cannot be kept: {error.strerror or error}.", wait_s=10.0) from error
        family = FAMILY_OF_SUFFIX.get(result.suffix)
        expired = LinkExpired(f"there is no link to '{found.role}'.")
        for link in (found.value, *found.others) if every_link else (found.value,):
            try:
                return download(link, originals / found.role, family, self.timeouts)
            except LinkExpired as error:
                expired = error
        raise expired

    def _fitted(self, results: Sequence[Result]) -> list[Artifact]:
        raws = [
            Raw(result.role, got.path, got.kind.media_type, result.fit)
            for result in results
            if (got := self._got.get(result.role))
        ]
        if not raws:
            return []
        has_source = self.row.input == "audio" and sends_source(self.row, self.request.parameters)
        artifacts = self.fitter.fit(
            raws,
            self.folder,
            source=self.request.source if has_source else None,
            fingerprint=self.request.fingerprint if has_source else None,
            was_trimmed=has_source and bool(self.request.parameters.get("trim_silence")),
        )
        return [one for one in artifacts if one.role not in self._helpers()]

    def _helpers(self) -> set[str]:
        """What was asked for only because it makes something else better."""
        asked = {result.role for result in self.row.returns(self.request.parameters)}
        return {result.role for result in self._wanted()} - asked

    def _written(self, found: Mapping[str, Found]) -> list[Artifact]:
        artifacts: list[Artifact] = []
        for result in self.row.returns(self.request.parameters):
            if result.role in GATHERED:
                artifacts += self._data(result, _together(GATHERED[result.role], found))
            elif (one := found.get(result.role)) and one.form == "text":
                artifacts.append(self._text(result, one.value, found))
            elif one and one.form == "json":
                artifacts += self._data(result, one.value)
        return artifacts

    def _text(self, result: Result, text: str, found: Mapping[str, Found]) -> Artifact:
        told = self.request.parameters.get(TEXT_FORMATS.get(result.role, ""))
        suffix = told if told in ("srt", "vtt") else result.suffix or "txt"
        language = found.get("language")
        about = {"language": language.value} if language and result.role == "transcript" else {}
        return self._write(result.role, suffix, text if text.endswith("\n") else f"{text}\n", about)

    def _data(self, result: Result, data: Any) -> Iterable[Artifact]:
        if data:
            about = _key_and_tempo(data) if result.role == "key_bpm" else {}
            yield self._write(
                result.role, "json", json.dumps(data, ensure_ascii=False, indent=1) + "\n", about
            )

    def _write(self, role: str, suffix: str, text: str, about: Mapping[str, Any]) -> Artifact:
        path = self.folder / f"{role}.{suffix}"
        try:
            path.write_bytes(text.encode("utf-8", "replace"))
        except OSError as error:
            raise TryLater(f"the result cannot be kept: {error.strerror or error}.", wait_s=10.0) from error
        return Artifact(role, path, TEXT_TYPES.get(suffix, "text/plain"), about)


def _together(roles: Iterable[str], found: Mapping[str, Found]) -> dict[str, Any]:
    return {role: found[role].value for role in roles if role in found}


def _key_and_tempo(data: Mapping[str, Any]) -> dict[str, Any]:
    """`120 BPM, A# major`, and both by themselves."""
    about = {name: data[name] for name in ("bpm", "key") if name in data}
    bpm = f"{about['bpm']:g} BPM" if isinstance(about.get("bpm"), (int, float)) else str(about.get("bpm", ""))
    return {"note": ", ".join(part for part in (bpm, about.get("key", "")) if part), **about}
