"""A device that failed in several rollouts lately is in quarantine for a time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.rollouts.model import quarantine
from functions.rollouts.model.quarantine import FailureRecord, QuarantineRule
from tests.functions.builders import at

RULE = QuarantineRule(failures=2, period=timedelta(seconds=100))
ONCE = FailureRecord(device_id="a", failed_at={"r-1": at(0)})
TWICE = FailureRecord(device_id="a", failed_at={"r-1": at(0), "r-2": at(50)}, until=at(150))


def test_the_last_failure_that_the_rule_allows_begins_a_quarantine() -> None:
    never = FailureRecord(device_id="a", failed_at={})
    assert quarantine.add_failure(never, "r-1", at(0), RULE) == ONCE
    assert quarantine.add_failure(ONCE, "r-2", at(50), RULE) == TWICE


def test_a_further_failure_prolongs_a_quarantine() -> None:
    again = quarantine.add_failure(TWICE, "r-3", at(60), RULE)
    assert (len(again.failed_at), again.until) == (3, at(160))


def test_a_rollout_counts_once() -> None:
    assert quarantine.add_failure(ONCE, "r-1", at(50), RULE) is ONCE


@pytest.mark.parametrize(("seconds", "until"), [(99, at(199)), (100, None)])
def test_a_failure_counts_for_the_period(seconds: float, until: object) -> None:
    record = quarantine.add_failure(ONCE, "r-2", at(seconds), RULE)
    assert record.until == until
    assert ("r-1" in record.failed_at) is (until is not None)


def test_a_failure_that_is_one_of_too_few_leaves_a_quarantine_as_it_is() -> None:
    later = quarantine.add_failure(TWICE, "r-3", at(200), RULE)
    assert (later.failed_at, later.until) == ({"r-3": at(200)}, at(150))


def test_a_late_success_ends_a_quarantine_if_too_few_failures_are_left() -> None:
    assert quarantine.remove_failure(TWICE, "r-2", RULE) == ONCE
    thrice = replace(TWICE, failed_at={**TWICE.failed_at, "r-3": at(60)})
    assert quarantine.remove_failure(thrice, "r-3", RULE) == TWICE
    assert quarantine.remove_failure(TWICE, "another", RULE) == TWICE


def test_a_quarantine_lasts_until_its_end() -> None:
    assert [TWICE.is_quarantined(at(second)) for second in (149, 150)] == [True, False]
    assert not ONCE.is_quarantined(at(0))


def test_a_quarantine_names_its_end_and_its_rollouts() -> None:
    assert quarantine.describe(TWICE) == (
        "The device is in quarantine until 2026-11-23T12:02:30Z: it failed in 2 rollouts: r-1, r-2."
    )
    for_ever = FailureRecord(device_id="a", failed_at={f"r-{n}": at(n) for n in range(7)})
    assert quarantine.describe(for_ever) == (
        "The device is in quarantine until its release: it failed in 7 rollouts:"
        " r-0, r-1, r-2, r-3, r-4."
    )
