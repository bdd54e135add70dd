"""Test what mutation tests run and print, and which errors of types count."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.__main__ import TYPE_CHECK, choose_fast, describe

# As mutmut writes them: each change of a method is another method of the same class.
CHANGED_METHODS = """
class Counted:
    def __init__mutmut_orig(self, limit: int) -> None:
        self._counts: dict[str, int] = {}
        self._limit = limit

    def __init__mutmut_1(self, limit: int) -> None:
        self._counts: dict[str, int] = {}
        self._limit = limit + 1

    def read(self, name: str | None) -> int:
        return self._counts[name]
"""


@pytest.mark.parametrize(
    ("statuses", "text"),
    [
        (
            {"killed": 6, "timeout": 1, "caught by type check": 10, "survived": 2, "no tests": 1},
            "17 of 20 mutants killed (85.0%): 10 by mypy, 7 of the other 10 by tests (70.0%)",
        ),
        (
            {"caught by type check": 3, "not checked": 9},
            "3 of 3 mutants killed (100.0%): 3 by mypy, 0 of the other 0 by tests (none run)",
        ),
        (
            {},
            "0 of 0 mutants killed (none run): 0 by mypy, 0 of the other 0 by tests (none run)",
        ),
    ],
)
def test_changes_that_the_types_refuse_are_counted_apart(
    statuses: dict[str, int], text: str
) -> None:
    assert describe(Counter(statuses)) == text


def test_a_change_is_not_refused_because_others_stand_beside_it(tmp_path: Path) -> None:
    changed = tmp_path / "changed.py"
    changed.write_text(CHANGED_METHODS)
    options = [item for item in TYPE_CHECK[1:] if not item.startswith("functions/")]
    command = [sys.executable, *options, "--cache-dir", str(tmp_path / "cache"), "--strict"]
    found = subprocess.run(
        [*command, str(changed)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert found.stdout.count('"severity": "error"') == 1, found.stdout + found.stderr
    assert "Invalid index type" in found.stdout


def test_fast_tests_run_first_and_slow_ones_only_where_there_is_no_other() -> None:
    seconds = {"slow": 30.0, "slower": 60.0, "middle": 1.0, "fast": 0.1}
    assert choose_fast(seconds, seconds) == ["fast", "middle"]
    assert choose_fast({"slower", "slow"}, seconds) == ["slow"]
    assert choose_fast([], seconds) == []
