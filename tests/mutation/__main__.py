"""Test the tests: change the code on purpose, and list the changes that no test notices.

    make mutation                                    everything; takes hours
    make mutation ARGS="functions/rollouts/rollout/gate.py"
    make mutation ARGS="--sample 300"                300 changes, drawn at random
    make mutation ARGS="functions/rollouts/rollout/gate.py --tests tests/functions/rollouts/rollout"

mutmut makes the changes, lets mypy check them all at once, chooses the tests that run a changed
function, and keeps the results in `mutants/`; a later run continues. A change that mypy refuses
needs no test. Text in quotes is left as it is, because most of it is messages.
"""

import argparse
import functools
import gc
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from threading import Semaphore

from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils import file_utils

from tests.mutation.operators import leave_text
from tests.mutation.survivors import Survivor, read_accepted, write_survivors

PACKAGES = ("functions.rollouts", "functions.use_cases")
# A survivor runs all tests of its function, so a few slow ones would take most of the time.
MAX_TEST_SECONDS = 5.0
TYPE_ERROR = "caught by type check"
KILLED = frozenset({"killed", "timeout", "segfault", TYPE_ERROR})
NICENESS = 19
# Of each property test: a change that fewer examples miss is a survivor to read.
EXAMPLES = "20"
# As `make typecheck`. mutmut writes all changes of a method into one class, so that an attribute
# seems to be defined again and its type cannot be determined: these errors are not the change's.
TYPE_CHECK = [
    *(sys.executable, "-m", "mypy", "--output", "json", "--no-warn-unused-ignores"),
    *("--disable-error-code", "no-redef", "--disable-error-code", "has-type"),
    *("--disable-error-code", "var-annotated"),
    *(package.replace(".", "/") for package in PACKAGES),
]


def main(arguments: list[str]) -> int:
    """Run the mutants and print the share that is killed. Return the exit code."""
    options = _read_options(arguments)
    os.nice(NICENESS)
    os.environ["HYPOTHESIS_EXAMPLES"] = EXAMPLES
    # This package is imported from here, and the tests' own files from `mutants/`.
    os.environ["PY_IGNORE_IMPORTMISMATCH"] = "1"
    leave_text()
    config().type_check_command = TYPE_CHECK
    if options.files:
        config().only_mutate = options.files
    if options.tests:
        config().pytest_add_cli_args_test_selection = options.tests
    _run_fast_tests_first()
    mutmut._run(_choose(options), options.children)  # noqa: SLF001 - the command's own function
    return _report(read_accepted())


def _read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutation")
    parser.add_argument("files", nargs="*", help="the only files to change; default: all")
    parser.add_argument("--tests", nargs="+", help="the only files or folders of tests to run")
    parser.add_argument("--sample", type=int, help="how many mutants to draw")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the sample")
    parser.add_argument("--children", type=int, default=1, help="how many processes run mutants")
    return parser.parse_args(arguments)


def _run_fast_tests_first() -> None:
    run_tests = PytestRunner.run_tests

    def run_sorted(self: PytestRunner, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        _forget_cached_results()
        forget_threads()
        durations = state().duration_by_test
        return run_tests(self, mutant_name=mutant_name, tests=choose_fast(tests, durations))

    PytestRunner.run_tests = run_sorted  # type: ignore[method-assign]


def choose_fast(tests: Iterable[str], seconds: Mapping[str, float]) -> list[str]:
    """Return the tests without those that take longest, the fastest first."""
    ordered = sorted(tests, key=lambda test: seconds.get(test, 0.0))
    fast = [test for test in ordered if seconds.get(test, 0.0) <= MAX_TEST_SECONDS]
    return fast or ordered[:1]


def _forget_cached_results() -> None:
    """Clear every cache that the runs before have filled; a mutant would not be called at all."""
    for each in gc.get_objects():
        if isinstance(each, functools._lru_cache_wrapper):  # noqa: SLF001 - it has no other name
            each.cache_clear()


def forget_threads() -> None:
    """Let every pool start new threads: the process of a mutant is a fork, and has none.

    Not for a process that has its threads: a pool of one, such as the device SDK's, would have two.
    """
    for each in gc.get_objects():
        if isinstance(each, ThreadPoolExecutor):
            vars(each).update(_threads=set(), _idle_semaphore=Semaphore(0))


def _choose(options: argparse.Namespace) -> list[str]:
    """Return the mutants to run; an empty list means all that have no result yet."""
    if options.sample is None:
        return []
    Path("mutants").mkdir(exist_ok=True)
    file_utils.copy_src_dir()
    file_utils.copy_also_copy_files()
    file_utils.setup_source_paths()
    mutmut.create_mutants(options.children)
    found, _ = mutmut.collect_source_file_mutation_data(mutant_names=[])
    names = sorted(name for _, name, _ in found)
    chance = random.Random(options.seed)  # noqa: S311 - a reproducible sample
    return sorted(chance.sample(names, min(options.sample, len(names))))


def _report(accepted: dict[Survivor, str]) -> int:
    survivors: list[Survivor] = []
    for package in PACKAGES:
        statuses, found = _read_results(package)
        survivors += found
        print(f"{package}: {describe(statuses)}")
    new = [survivor for survivor in survivors if survivor not in accepted]
    path = write_survivors(survivors, accepted)
    print(f"{len(survivors)} survivors, {len(new)} of them not accepted: {path}")
    return 1 if new else 0


def describe(statuses: Counter[str]) -> str:
    """Return the share of mutants that are killed, by the types and by tests, in words."""
    run = sum(statuses.values()) - statuses["not checked"]
    killed = sum(statuses[status] for status in KILLED)
    types = statuses[TYPE_ERROR]
    tests, others = killed - types, run - types
    return (
        f"{killed} of {run} mutants killed ({_percent(killed, run)}): {types} by mypy,"
        f" {tests} of the other {others} by tests ({_percent(tests, others)})"
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "none run"


def _read_results(package: str) -> tuple[Counter[str], list[Survivor]]:
    statuses: Counter[str] = Counter()
    survivors = []
    found, _ = mutmut.collect_source_file_mutation_data(mutant_names=[])
    for data, name, exit_code in found:
        if not fnmatch(name, f"{package}.*"):
            continue
        status = status_by_exit_code[exit_code]
        statuses[status] += 1
        if status not in KILLED and status != "not checked":
            survivors.append(Survivor.read(name, get_diff_for_mutant(name, path=data.path)))
    return statuses, survivors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
