"""Waiting for a condition, also on a machine that stands still."""

import time

import pytest

from tests.waiting import eventually


class Machine:
    """A clock that goes on by a number of seconds at each sleep."""

    def __init__(self, *pauses: float) -> None:
        self.now = 0.0
        self._pauses = [*pauses]

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + (self._pauses.pop(0) if self._pauses else 0)


def run_on(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", machine.monotonic)
    monkeypatch.setattr(time, "sleep", machine.sleep)


def test_what_was_read_is_returned() -> None:
    values = iter([None, 0, "found"])
    assert eventually(lambda: next(values)) == "found"


def test_a_standstill_counts_as_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(600.0)
    run_on(machine, monkeypatch)
    assert eventually(lambda: machine.now > 605, seconds=10)


def test_a_condition_that_stays_false_fails_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, changes = Machine(), ["connected"]
    run_on(machine, monkeypatch)

    def read() -> bool:
        changes[:] = ["connected", "lost"]
        return False

    with pytest.raises(AssertionError, match=r"not within 10 s: \['connected', 'lost'\]"):
        eventually(read, what=changes, seconds=10)
    assert 10 <= machine.now < 10.1
