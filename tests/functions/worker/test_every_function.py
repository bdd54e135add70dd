"""Azure's way into the app and the local host's have the same results, for every function."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from simulator.paths import REPOSITORY
from tests.functions.triggers.routing import function_names


@cache
def results(way: str) -> Any:
    command = [sys.executable, "-m", "tests.functions.worker.every_function", way]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", sorted(function_names()))
def test_a_function_ends_alike_in_both(name: str) -> None:
    local, proxy = (
        {key: value for key, value in results(way)["ended"].items() if key.split()[0] == name}
        for way in ("local", "proxy")
    )
    assert local
    assert proxy == local


def test_all_of_them_have_the_same_effect_on_a_rollout() -> None:
    local, proxy = results("local"), results("proxy")
    assert proxy["ended"]["rollout"] == local["ended"]["rollout"]


def test_settings_that_come_after_the_start_are_read() -> None:
    """The worker of Flex Consumption starts before it has the app's settings."""
    assert results("proxy")["schedules"] == ["*/7 * * * * *"]


def test_the_calls_do_not_all_fail() -> None:
    ended = results("proxy")["ended"]
    statuses = {value.get("status") for value in ended.values() if isinstance(value, dict)}
    assert {200, 201, 204, 404, 422} <= statuses
    assert ended["advance_rollouts"] == {"returned": None}
    assert ended["dispatch_batch 0"] == {"returned": None}
    assert "error" in ended["dispatch_batch 2"]
