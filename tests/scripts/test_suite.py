"""What scripts/test.py makes of its parts: counts, the gate, and the last line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from house import suite
from house.setup import House
from house.suite import Bench, Tally

REPORT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3"
tests="10"><testcase/></testsuite></testsuites>"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A project of three tests, one of which starts a process that runs the code."""
    for name in [name for name in os.environ if name.startswith(("COV", "PYTEST_XDIST"))]:
        monkeypatch.delenv(name)
    root = tmp_path / "project"
    (root / "bridge").mkdir(parents=True)
    (root / "elsewhere").mkdir()
    (root / "pyproject.toml").write_text(
        '[tool.coverage.run]\nsource_pkgs = ["bridge"]\nbranch = true\n'
        'parallel = true\npatch = ["subprocess"]\n',
        encoding="utf-8",
    )
    (root / "bridge" / "__init__.py").touch()
    (root / "bridge" / "work.py").write_text(
        "import sys\nif len(sys.argv) > 1:\n    print('one')\nelse:\n    print('two')\n", encoding="utf-8"
    )
    (root / "test_it.py").write_text(
        "import os, subprocess, sys\nimport pytest, bridge\n\n"
        "def test_in_children():\n"
        "    for more in ([], ['x']):\n"
        "        command = [sys.executable, '-m', 'bridge.work', *more]\n"
        f"        environment = dict(os.environ, PYTHONPATH={str(root)!r})\n"
        "        subprocess.run(command, check=True, cwd='elsewhere', env=environment)\n"
        "def test_skipped():\n    pytest.skip('no')\n"
        "def test_failed():\n    assert 0\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "BRIDGE_HOME": str(tmp_path / "home")}
    return Bench(House(root), sys.executable, environment)


def test_the_report_is_counted(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT, encoding="utf-8")
    assert suite.read_report(report) == Tally(passed=4, failed=3, skipped=3)
    assert suite.read_report(tmp_path / "none.xml") == Tally()


def test_the_last_line() -> None:
    assert (Tally(3, 1, 0) + Tally(1, 0, 2)).line() == "4 passed, 1 failed, 2 skipped"


def test_the_share_of_branches() -> None:
    assert suite.branches_percent({"totals": {"covered_branches": 17, "num_branches": 20}}) == 85.0
    assert suite.branches_percent({"totals": {"covered_branches": 0, "num_branches": 0}}) == 100.0


@pytest.mark.slow
def test_children_count_in_the_coverage(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    tally = suite.pytest(bench, ["-q", "-p", "no:cacheprovider"], covered=True)
    assert tally == Tally(passed=1, failed=1, skipped=1)
    suite.coverage(bench, "combine", "--quiet")
    report = json.loads(suite.coverage(bench, "json", "-o", "-", "--quiet"))
    assert suite.branches_percent(report) == 100.0
    assert suite.coverage_gate(bench) == Tally(passed=1)
    assert "coverage: ok, 100.0 %" in capfd.readouterr().out


@pytest.mark.slow
def test_too_little_coverage_fails_and_says_where(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    suite.pytest(bench, ["-q", "-p", "no:cacheprovider", "-k", "failed"], covered=True)
    suite.coverage(bench, "combine", "--quiet")
    assert suite.coverage_gate(bench) == Tally(failed=1)
    assert "work.py" in capfd.readouterr().out


@pytest.mark.slow
def test_no_test_at_all_is_a_failure_unless_it_may_be(bench: Bench) -> None:
    nothing = ["-q", "-p", "no:cacheprovider", "-k", "nothing_like_it"]
    assert suite.pytest(bench, nothing) == Tally(failed=1)
    assert suite.pytest(bench, nothing, may_be_empty=True) == Tally()


def test_a_pytest_that_breaks_down_is_a_failure(bench: Bench) -> None:
    assert suite.pytest(bench, ["--no-such-option"]).failed == 1


TOGETHER_AND_ALONE = """
import os, pathlib, time
import pytest

BUSY = pathlib.Path(__file__).with_name("busy")


def work():
    BUSY.mkdir()  # fails where somebody else is at work
    time.sleep(0.2)
    BUSY.rmdir()


@pytest.mark.alone
@pytest.mark.parametrize("number", range(3))
def test_alone(number):
    assert "PYTEST_XDIST_WORKER" not in os.environ
    work()


def test_together():
    assert "PYTEST_XDIST_WORKER" in os.environ
    import bridge.work


@pytest.mark.slow
def test_slow():
    work()
"""


@pytest.fixture
def together_and_alone(bench: Bench) -> Bench:
    bench.house.root.joinpath("test_it.py").unlink()
    for name in ("test_a.py", "test_b.py"):
        bench.house.root.joinpath(name).write_text(TOGETHER_AND_ALONE, encoding="utf-8")
    return bench


@pytest.mark.slow
def test_what_wants_the_machine_to_itself_comes_afterwards_one_by_one(together_and_alone: Bench) -> None:
    options = ["-q", "-p", "no:cacheprovider", "-m", "not slow"]
    assert suite.run_tests(together_and_alone, options, quick=False) == Tally(passed=8)
    assert suite.run_tests(together_and_alone, options, quick=True) == Tally(passed=2)
    suite.coverage(together_and_alone, "combine", "--quiet")
    text = suite.coverage(together_and_alone, "json", "-o", "-", "--quiet")
    assert json.loads(text)["files"], "what workers run is measured"


@pytest.mark.slow
def test_one_pass_without_tests_is_fine_and_two_are_a_failure(together_and_alone: Bench) -> None:
    quiet = ["-q", "-p", "no:cacheprovider", "-k"]
    assert suite.run_tests(together_and_alone, [*quiet, "alone"], quick=False) == Tally(passed=6)
    assert suite.run_tests(together_and_alone, [*quiet, "nothing_like_it"], quick=False) == Tally(failed=1)


@pytest.mark.slow
def test_a_worker_that_dies_is_a_failure_and_the_others_go_on(bench: Bench) -> None:
    bench.house.root.joinpath("test_it.py").write_text(
        "import os\ndef test_dies():\n    os._exit(0)\ndef test_lives():\n    pass\n", encoding="utf-8"
    )
    assert suite.run_tests(bench, ["-q", "-p", "no:cacheprovider"], quick=True) == Tally(passed=1, failed=1)


def test_no_more_workers_than_cores_and_no_more_than_memory_allows() -> None:
    assert suite.in_workers(2)[:2] == ["-n", "2"]
    assert suite.in_workers(64)[:2] == ["-n", str(suite.MOST_WORKERS)]
