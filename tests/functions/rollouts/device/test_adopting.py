"""Test that a changed timeout holds for lost responses, and a changed soak for soaking devices."""

from datetime import timedelta

import pytest

from functions.rollouts.device.adopting import adopt_times
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.strategy import Strategy
from tests.functions.builders import at, make_moment, make_rollout
from tests.functions.rollouts.device.under_way import (
    make_accepted,
    make_claimed,
    make_in_doubt,
    make_soaking,
)

CHANGED_AT = 5
SHORT = timedelta(seconds=20)


def adopt(update: DeviceUpdate, timeout: timedelta, revision: int = CHANGED_AT - 1) -> DeviceUpdate:
    rollout = make_rollout(strategy=Strategy(timeout=timeout), timeout_revision=CHANGED_AT)
    moment = make_moment(10, rollout=rollout)
    return adopt_times(moment, Block(0, (update,)), revision).updates[0]


def test_a_shorter_timeout_ends_the_wait_of_an_attempt_in_doubt_earlier() -> None:
    update = make_in_doubt()
    assert update.not_before == at(30)
    assert adopt(update, SHORT).not_before == at(20)


@pytest.mark.parametrize("revision", [CHANGED_AT, CHANGED_AT + 1])
def test_a_block_that_was_written_with_the_timeout_stays(revision: int) -> None:
    update = make_in_doubt()
    assert adopt(update, SHORT, revision) is update


def test_a_longer_timeout_and_an_attempt_with_a_response_change_no_wait() -> None:
    for update, timeout in (
        (make_in_doubt(), timedelta(days=1)),
        (make_accepted(), SHORT),
    ):
        assert adopt(update, timeout) is update


def test_only_the_wait_of_an_attempt_in_doubt_is_shortened() -> None:
    claimed = make_claimed()
    assert adopt(claimed, SHORT) is claimed


def test_a_wait_that_is_as_long_as_the_timeout_stays() -> None:
    update = make_in_doubt()
    assert adopt(update, timedelta(seconds=30)) is update


# -- the soak ----------------------------------------------------------------------------------


def adopt_soak(
    update: DeviceUpdate, soak: timedelta, revision: int = CHANGED_AT - 1
) -> DeviceUpdate:
    rollout = make_rollout(strategy=Strategy(soak=soak), soak_revision=CHANGED_AT)
    moment = make_moment(60, rollout=rollout)
    return adopt_times(moment, Block(0, (update,)), revision).updates[0]


@pytest.mark.parametrize(
    ("soak", "until", "observe_at"), [(20, 65, 65), (40, 85, 70), (400, 445, 160)]
)
def test_a_changed_soak_runs_from_its_beginning(
    soak: float, until: float, observe_at: float
) -> None:
    update = make_soaking(Strategy(soak=timedelta(seconds=100)))
    adopted = adopt_soak(update, timedelta(seconds=soak))
    assert (adopted.soak_until, adopted.observe_at) == (at(until), at(observe_at))
    assert adopted.updated_at == at(60)
    assert (adopted.explanation or "").startswith("The soak was changed; the device must stay")
    assert adopted.history == update.history


@pytest.mark.parametrize("revision", [CHANGED_AT, CHANGED_AT + 1])
def test_a_block_that_was_written_with_the_soak_stays(revision: int) -> None:
    update = make_soaking(Strategy(soak=timedelta(seconds=100)))
    assert adopt_soak(update, SHORT, revision) is update


def test_a_changed_soak_does_not_concern_other_devices_or_one_that_is_waited_for() -> None:
    dark = make_soaking(Strategy(soak=timedelta(seconds=100)))._replace(dark_since=at(50))
    for update in (dark, make_accepted(), make_in_doubt()):
        assert adopt_soak(update, SHORT) is update
