"""Test what the benchmarks print beside their figures."""

import os
import subprocess
import sys

from simulator.paths import REPOSITORY


def test_the_benchmarks_start_without_an_error_of_settings_that_they_do_not_need() -> None:
    environment = {name: value for name, value in os.environ.items() if "IOTHUB" not in name}
    command = [sys.executable, "-m", "tests.bench", "none"]
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stdout.startswith("unknown benchmark: none; choose from gate, ")
    assert ended.stderr == ""
