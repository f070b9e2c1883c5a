"""The chunks of a WAV, RF64, BW64 or AIFF: all that is in the file beside the samples.

Standard library only. Nothing of the samples is read, and nothing is thrown away: what is not known here, or
is damaged, is passed on as it is. Large chunks stay in the file and are only pointed at.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias, TypeVar

from bridge.errors import AudioError
from bridge.media.chunk_layout import Agreement, Chunk, Layout, chunks_behind_none, is_name, read_layout
from bridge.media.wav_bext import Bext
from bridge.media.wav_cues import Cues, Labels, Marks, Sampler
from bridge.media.wav_format import SampleFormat, parse_comm, parse_fmt
from bridge.media.wav_ixml import Ixml
from bridge.media.wav_tags import Acid, Ds64, Info

HELD_BYTES: Final = 1 << 20
HELD_IN_ALL_BYTES: Final = 16 << 20
MOST_WARNINGS: Final = 20
MAGICS: Final = frozenset({b"RIFF", b"RF64", b"BW64", b"RIFX", b"FORM"})
SOUND_NAMES: Final = {b"FORM": b"SSND"}
FORMAT_NAMES: Final = {b"FORM": b"COMM"}

Typed: TypeAlias = Bext | Ixml | Acid | Sampler | Cues | Labels | Info | Marks
T = TypeVar("T", Bext, Ixml, Acid, Sampler, Cues, Labels, Info, Marks)

# The kind of a chunk is its name, and for a list its type too.
PARSERS: Final[Mapping[bytes, Callable[[bytes], Typed]]] = {
    b"bext": Bext.parse,
    b"iXML": Ixml.parse,
    b"acid": Acid.parse,
    b"smpl": Sampler.parse,
    b"cue ": Cues.parse,
    b"LISTadtl": Labels.parse,
    b"LISTINFO": Info.parse,
    b"MARK": Marks.parse,
}
NAMES: Final = {
    Bext: b"bext",
    Ixml: b"iXML",
    Acid: b"acid",
    Sampler: b"smpl",
    Cues: b"cue ",
    Labels: b"LIST",
    Info: b"LIST",
    Marks: b"MARK",
}


@dataclass(frozen=True)
class FilePart:
    """Bytes that stay in a file until they are wanted."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True)
class RawChunk:
    """A chunk's name and its bytes, or where they are."""

    name: bytes
    body: bytes | FilePart

    @property
    def size(self) -> int:
        return self.body.size if isinstance(self.body, FilePart) else len(self.body)

    @property
    def kind(self) -> bytes:
        """The name; for a `LIST` with its type behind it."""
        is_list = self.name == b"LIST" and isinstance(self.body, bytes)
        return self.name + self.body[:4] if is_list and isinstance(self.body, bytes) else self.name

    @cached_property
    def parsed(self) -> Typed | str | None:
        """What the chunk says, a word on why it cannot be read, or None for kinds that are not known."""
        parse = PARSERS.get(self.kind)
        if parse is None:
            return None
        if isinstance(self.body, FilePart):
            return f"it is larger than {HELD_BYTES >> 20} MiB"
        try:
            return parse(self.body)
        except ValueError as fault:
            return str(fault)


@dataclass(frozen=True)
class WavChunks:
    """The chunks `before` and `after` the samples, in their order; `fmt ` or `COMM` is among them.

    `frames` and `rate_hz` are what the header and the file's length say, None where they do not.
    `data_at` and `data_bytes` tell where the samples are. `warnings` are sentences for the musician.
    """

    magic: bytes = b"RIFF"
    form: bytes = b"WAVE"
    before: tuple[RawChunk, ...] = ()
    after: tuple[RawChunk, ...] = ()
    ds64: Ds64 | None = None
    frames: int | None = None
    rate_hz: int | None = None
    data_at: int = 0
    data_bytes: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[RawChunk, ...]:
        return self.before + self.after

    @property
    def bext(self) -> Bext | None:
        return next(self.each(Bext), None)

    @property
    def ixml(self) -> Ixml | None:
        return next(self.each(Ixml), None)

    @property
    def acid(self) -> Acid | None:
        return next(self.each(Acid), None)

    @property
    def sampler(self) -> Sampler | None:
        return next(self.each(Sampler), None)

    @property
    def cues(self) -> Cues | None:
        return next(self.each(Cues), None)

    @property
    def labels(self) -> Labels | None:
        """All `adtl` lists as one."""
        found = tuple(self.each(Labels))
        return Labels(tuple(entry for one in found for entry in one.entries)) if found else None

    @property
    def marks(self) -> Marks | None:
        return next(self.each(Marks), None)

    @property
    def info(self) -> dict[str, str]:
        """The texts of all `INFO` lists; the first of a name counts."""
        found: dict[str, str] = {}
        for one in self.each(Info):
            found = one.texts | found
        return found

    @property
    def sample_format(self) -> SampleFormat | None:
        """How the samples are described; None where that is missing or damaged."""
        return _format_of(self.magic, self.form, self.before)

    def each(self, kind: type[T]) -> Iterator[T]:
        """The readable chunks of one kind, such as `Bext`, in their order."""
        for chunk in self.all:
            found = self.typed(chunk) if chunk.name == NAMES[kind] else None
            if isinstance(found, kind):
                yield found

    def typed(self, chunk: RawChunk) -> Typed | None:
        """What one of the chunks says; None for the unknown, the damaged, and those too large to be held."""
        # RIFX has everything the other way round and is not read.
        found = None if self.magic == b"RIFX" else chunk.parsed
        return None if isinstance(found, str) else found

    def mapped(self, change: Callable[[RawChunk], RawChunk | None]) -> WavChunks:
        """The same with `change` applied to each chunk; None takes it out."""
        return replace(self, before=_mapped(self.before, change), after=_mapped(self.after, change))

    def with_typed(self, new: Typed) -> WavChunks:
        """The same with `new` in the place of the first chunk of its kind, or as the last before the samples.

        A list of labels or texts replaces the first list of its type. Raises ValueError where the file's
        kind has no such chunk.
        """
        if self.magic == b"RIFX" or (self.magic == b"FORM") != isinstance(new, Marks):
            raise ValueError(f"a {type(new).__name__} chunk does not belong into this kind of file")
        raw = raw_of(new)
        old = next((chunk for chunk in self.all if chunk.kind == raw.kind), None)
        if old is None:
            return replace(self, before=(*self.before, raw))
        return self.mapped(lambda chunk: raw if chunk is old else chunk)


def _mapped(
    chunks: tuple[RawChunk, ...], change: Callable[[RawChunk], RawChunk | None]
) -> tuple[RawChunk, ...]:
    changed = (change(chunk) for chunk in chunks)
    return tuple(chunk for chunk in changed if chunk is not None)


def raw_of(chunk: Typed) -> RawChunk:
    """The chunk as bytes, with its name."""
    return RawChunk(NAMES[type(chunk)], chunk.to_bytes())


def read_chunks(path: Path) -> WavChunks:
    """The chunks of the file at `path`. Raises AudioError where it is no WAV or AIFF, or cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a named pipe would wait for its writer
            raise AudioError("this is not a plain file.", remedy="Name an audio file.", file=path)
        with path.open("rb") as file:
            file_bytes = file.seek(0, 2)
            layout = read_layout(file, file_bytes)
            if layout is None or layout.magic not in MAGICS:
                remedy = "Check that it is an audio file, or export it again."
                raise AudioError("this is no WAV or AIFF file.", remedy=remedy, file=path)
            return _checked(_collected(path, file, layout))
    except OSError as fault:
        words = f"reading failed ({fault.strerror or 'it could not be read'})."
        remedy = "Check that it is still there and may be read, then try again."
        raise AudioError(words, remedy=remedy, file=path) from fault


def _collected(path: Path, file: BinaryIO, layout: Layout) -> WavChunks:
    sound = layout.sound
    listed, data_bytes = _listed(file, layout)
    at = listed.index(sound) if sound in listed else len(listed)
    keeper = _Keeper(path, file, layout.file_bytes)
    before = keeper.kept(chunk for chunk in listed[:at] if chunk.name != b"ds64")
    after = keeper.kept(listed[at + 1 :])
    ds64 = next((chunk for chunk in keeper.kept(listed[:1]) if chunk.name == b"ds64"), None)
    described = _format_of(layout.magic, layout.form, before)
    frame_bytes = described.frame_bytes if described is not None and described.is_plain else 0
    return WavChunks(
        magic=layout.magic,
        form=layout.form,
        before=before,
        after=after,
        ds64=_ds64_of(ds64),
        frames=data_bytes // frame_bytes if frame_bytes else None,
        rate_hz=described.rate_hz if described is not None else None,
        data_at=layout.samples_at,
        data_bytes=data_bytes,
        warnings=tuple(keeper.warnings),
    )


def _listed(file: BinaryIO, layout: Layout) -> tuple[tuple[Chunk, ...], int]:
    """The chunks to keep, and how many bytes of samples there are."""
    held, stated = layout.held_sample_bytes, layout.stated_sample_bytes
    if stated is None:
        behind = chunks_behind_none(file, layout)
        return layout.chunks + behind, 0 if behind else held
    if layout.agreement is Agreement.OUTGROWN:  # what follows the stated end is more of the samples
        at = layout.chunks.index(layout.sound) if layout.sound is not None else len(layout.chunks)
        return layout.chunks[: at + 1], held
    return layout.chunks, min(stated, held)


def _ds64_of(chunk: RawChunk | None) -> Ds64 | None:
    try:
        return Ds64.parse(chunk.body) if chunk is not None and isinstance(chunk.body, bytes) else None
    except ValueError:
        return None


def _format_of(magic: bytes, form: bytes, chunks: tuple[RawChunk, ...]) -> SampleFormat | None:
    wanted = FORMAT_NAMES.get(magic, b"fmt ")
    body = next((chunk.body for chunk in chunks if chunk.name == wanted), None)
    if not isinstance(body, bytes):
        return None
    try:
        if magic == b"FORM":
            return parse_comm(body, form)
        return parse_fmt(body, ">" if magic == b"RIFX" else "<")
    except ValueError:
        return None


class _Keeper:
    """Takes chunks out of a file; says what it must leave."""

    def __init__(self, path: Path, file: BinaryIO, file_bytes: int) -> None:
        self._path, self._file, self._file_bytes = path, file, file_bytes
        self._held_bytes = 0
        self.warnings: list[str] = []

    def kept(self, chunks: Iterator[Chunk] | tuple[Chunk, ...]) -> tuple[RawChunk, ...]:
        kept: list[RawChunk] = []
        for chunk in chunks:
            if not is_name(chunk.name):
                self._tell_of_tail(chunk)
                break
            if chunk.size is None:
                continue
            if chunk.body + chunk.size > self._file_bytes:
                missing = chunk.body + chunk.size - self._file_bytes
                self._tell(chunk.name, f"promises {missing:,} bytes more than there are; it is left out")
                break
            kept.append(RawChunk(chunk.name, self._body(chunk.body, chunk.size)))
        return tuple(kept)

    def _body(self, at: int, size: int) -> bytes | FilePart:
        if size > HELD_BYTES or self._held_bytes + size > HELD_IN_ALL_BYTES:
            return FilePart(self._path, at, size)
        self._held_bytes += size
        self._file.seek(at)
        return self._file.read(size)

    def _tell_of_tail(self, chunk: Chunk) -> None:
        self._file.seek(chunk.body - 8)
        if any(self._file.read(512)):
            self.warnings.append("what follows the last chunk is no chunk; it is left out")

    def _tell(self, name: bytes, words: str) -> None:
        self.warnings.append(f"the chunk {_shown(name)} {words}")


def _checked(chunks: WavChunks) -> WavChunks:
    """The same with a warning for each known chunk that is damaged."""
    if chunks.magic == b"RIFX":
        return chunks
    faults = [(chunk.name, chunk.parsed) for chunk in chunks.all if isinstance(chunk.parsed, str)]
    words = [
        f"the chunk {_shown(name)} is not read ({why}); it is passed on as it is" for name, why in faults
    ]
    return replace(chunks, warnings=(*chunks.warnings, *words[:MOST_WARNINGS]))


def _shown(name: bytes) -> str:
    return name.decode("ascii", "replace").strip()
