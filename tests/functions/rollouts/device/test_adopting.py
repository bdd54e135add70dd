"""Test that a changed timeout holds for updates whose response was lost."""

from datetime import timedelta

import pytest

from functions.rollouts.device.adopting import adopt_times
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.strategy import Strategy
from tests.functions.builders import at, make_moment, make_rollout
from tests.functions.rollouts.device.under_way import make_accepted, make_in_doubt

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
