"""scripts/test.py, prove.py and check: set up, then everything that says whether the bridge is right.

The checks run before the tests and never hide them: each part runs, whatever the others said.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from house.parts import FOR_TESTS, SYSTEM
from house.process import SetupError, run, say
from house.setup import House, Wish, prepare
from house.start import ROOT

BRANCHES_PERCENT = 85.0
NO_TESTS = 5  # pytest's exit code
MOST_WORKERS = 4  # each may have an engine and a daemon of its own
CODE = ("bridge", "scripts", "tests", "benchmarks")
QUICK = "not slow and not long"
USUAL = "not long"
LONG = ("-m", "long", "--timeout=7200")
PATIENT = ("-m", USUAL, "--timeout=7200")
LARGER = {"BRIDGE_FUZZ_ROUNDS": "20000", "BRIDGE_FAULT_ROUNDS": "200"}
NOT_FOR_TESTS = frozenset(
    {
        "MUSICGPT_API_KEY",  # no test ever gets to see the key of whoever runs it
        "PYTHONDONTWRITEBYTECODE",  # hundreds of processes are started: each would compile everything anew
    }
)


@dataclass(frozen=True)
class Tally:
    """Tests and checks that were run. An error in a fixture counts as a failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def line(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Bench:
    """The set-up house and the environment in which tests run."""

    house: House
    python: str
    environment: Mapping[str, str]


# --- the three scripts -------------------------------------------------------------------------------------


def test(arguments: Sequence[str]) -> int:
    """The whole suite; `--quick`: only what is fast, without the coverage gate. The rest goes to pytest."""
    quick = "--quick" in arguments
    rest = [argument for argument in arguments if argument != "--quick"]

    def everything(bench: Bench) -> Tally:
        if quick:
            quickly = replace(bench, environment={**bench.environment, "BRIDGE_TEST_PROFILE": "quick"})
            return _beside_the_checks(bench, lambda: run_tests(quickly, rest, quick=True))
        coverage(bench, "erase")
        tally = _beside_the_checks(bench, lambda: run_tests(bench, rest))
        coverage(bench, "combine", "--quiet")
        # A chosen part of the tests says nothing about the coverage of the whole.
        return tally if rest else tally + coverage_gate(bench)

    return _with_bench(everything)


def prove(arguments: Sequence[str]) -> int:
    """The long tests, and faults and fuzz with larger counts."""

    def everything(bench: Bench) -> Tally:
        larger = Bench(
            bench.house, bench.python, {**LARGER, **bench.environment, "BRIDGE_TEST_PROFILE": "prove"}
        )
        tally = pytest(larger, [*LONG, *arguments], may_be_empty=True)
        folders = [name for name in ("tests/faults", "tests/fuzz") if (bench.house.root / name).is_dir()]
        if folders:
            tally += pytest(larger, [*PATIENT, *folders, *arguments], may_be_empty=True)
        return tally

    return _with_bench(everything)


def check() -> int:
    """The checks alone; the coverage gate reads what the last scripts/test.py left."""

    def everything(bench: Bench) -> Tally:
        tally = static_checks(bench) + pytest(bench, ["tests/test_imports.py", "-q"])
        if (bench.house.root / ".coverage").is_file():
            return tally + coverage_gate(bench)
        print("coverage: no data yet; scripts/test.py makes it")
        return tally

    return _with_bench(everything)


def _with_bench(everything: Callable[[Bench], Tally]) -> int:
    house = House(ROOT)
    # Models stay from run to run; everything else of BRIDGE_HOME is fresh each time.
    kept = house.venv / "test-home"
    try:
        python = prepare(house, Wish(groups=("core", "test"), home=str(kept), system=(*SYSTEM, *FOR_TESTS)))
    except SetupError as error:
        say(str(error))
        return 1
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bridge-tests-", ignore_cleanup_errors=True) as folder:
        environment = {
            "BRIDGE_HOME": str(Path(folder) / "home"),
            "BRIDGE_MODELS_MIRROR": str(kept / "models"),
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        surroundings = {name: value for name, value in os.environ.items() if name not in NOT_FOR_TESTS}
        tally = everything(Bench(house, str(python), {**surroundings, **environment}))
    print(f"\nIn {time.monotonic() - begun:.0f} s, checks included:")
    print(tally.line(), flush=True)
    return 1 if tally.failed or not tally.passed else 0


# --- the parts ---------------------------------------------------------------------------------------------


def checks_of(house: House, python: str) -> dict[str, list[str]]:
    """Name → command of each static check."""
    code = [name for name in CODE if (house.root / name).is_dir()]
    tidy = [*code, "scripts/check"]  # it has no suffix by which it would be found
    return {
        "ruff check": [python, "-m", "ruff", "check", *tidy],
        "ruff format": [python, "-m", "ruff", "format", "--check", *tidy],
        "mypy --strict": [python, "-m", "mypy", "--strict", *code],
    }


def _aloud(text: str) -> None:
    print(text, flush=True)


def static_checks(bench: Bench, tell: Callable[[str], None] = _aloud) -> Tally:
    """Lint, format and types: a line each, and what is wrong."""
    tally = Tally()
    for name, command in checks_of(bench.house, bench.python).items():
        begun = time.monotonic()
        done = run(command, environment=bench.environment, folder=bench.house.root)
        tell(f"{name}: {'ok' if done.ok else 'FAILED'} ({time.monotonic() - begun:.1f} s)")
        if not done.ok:
            tell(done.output.rstrip())
        tally += Tally(passed=int(done.ok), failed=int(not done.ok))
    return tally


def _beside_the_checks(bench: Bench, the_tests: Callable[[], Tally]) -> Tally:
    """The static checks while the tests run; what the checks said comes last."""
    lines: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        checks = pool.submit(static_checks, bench, lines.append)
        tally = the_tests() + checks.result()
    print("\n".join(lines), flush=True)
    return tally


def run_tests(bench: Bench, rest: Sequence[str] = (), *, quick: bool = False) -> Tally:
    """Tests on all cores; then, one by one, those that want the machine to themselves.

    `rest` are options for pytest; a `-m` among them takes the place of our own.
    """
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chosen.add_argument("-m", dest="marks", default=QUICK if quick else USUAL)
    found, others = chosen.parse_known_args(rest)
    together = ["-m", f"({found.marks}) and not alone", *in_workers(os.cpu_count() or 1), *others]
    if quick:
        return pytest(bench, together)
    alone = ["-m", f"({found.marks}) and alone", *others, "-n0"]
    tally = Tally()
    for arguments in (together, alone):
        tally += pytest(bench, arguments, covered=True, may_be_empty=True)
    return tally if tally != Tally() else Tally(failed=1)


def in_workers(cores: int) -> list[str]:
    """pytest's options by which tests are shared out; a crash of a worker fails the test that it ran."""
    return ["-n", str(min(cores, MOST_WORKERS)), "--dist", "worksteal"]


def pytest(
    bench: Bench, arguments: Sequence[str], *, covered: bool = False, may_be_empty: bool = False
) -> Tally:
    """Runs pytest in the open; counts from its own report. Coverage's patch covers child processes."""
    report = Path(bench.environment["BRIDGE_HOME"]).with_name("report.xml")
    report.unlink(missing_ok=True)
    module = ["-m", "coverage", "run", "-m", "pytest"] if covered else ["-m", "pytest"]
    command = [bench.python, *module, "--continue-on-collection-errors", f"--junit-xml={report}", *arguments]
    code = subprocess.run(command, cwd=bench.house.root, env=dict(bench.environment), check=False).returncode
    tally = read_report(report)
    nothing_ran = code == NO_TESTS and may_be_empty
    if code and not tally.failed and not nothing_ran:  # it broke down, or was stopped
        return tally + Tally(failed=1)
    return tally


def read_report(path: Path) -> Tally:
    """The counts of a JUnit report; none if there is no report."""
    if not path.is_file():
        return Tally()
    tally = Tally()
    for suite in ET.parse(path).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it just now
        count = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
        failed = count["failures"] + count["errors"]
        passed = max(0, count["tests"] - failed - count["skipped"])
        tally += Tally(passed=passed, failed=failed, skipped=count["skipped"])
    return tally


def coverage(bench: Bench, *arguments: str) -> str:
    done = subprocess.run(
        [bench.python, "-m", "coverage", *arguments],
        cwd=bench.house.root,
        env=dict(bench.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def coverage_gate(bench: Bench) -> Tally:
    """At least 85 % of the branches of bridge/ taken, by the tests or by processes that they started."""
    text = coverage(bench, "json", "-o", "-", "--quiet")
    try:
        percent = branches_percent(json.loads(text))
    except (ValueError, KeyError):
        print("coverage: FAILED, no data to read")
        return Tally(failed=1)
    ok = percent >= BRANCHES_PERCENT
    if not ok:
        print(coverage(bench, "report", "--skip-covered", "--sort=cover").rstrip())
    verdict = "ok" if ok else "FAILED"
    print(f"coverage: {verdict}, {percent:.1f} % of the branches ({BRANCHES_PERCENT:.0f} % is the gate)")
    return Tally(passed=int(ok), failed=int(not ok))


def branches_percent(report: Mapping[str, Mapping[str, float]]) -> float:
    """Share of the branches that were taken, 0 to 100; 100 where there are none."""
    totals = report["totals"]
    return 100.0 * totals["covered_branches"] / totals["num_branches"] if totals["num_branches"] else 100.0
