"""Every state, and every reason of an end, has a letter of its own."""

import pytest

from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.state_letters import FAILED, MEANINGS, SKIPPED, Meaning, letter_of


@pytest.mark.parametrize("state", DeviceState)
def test_every_state_has_a_letter(state: DeviceState) -> None:
    letter = letter_of(state, None)
    assert len(letter) == 1
    assert MEANINGS[letter] == Meaning(state)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_has_a_letter_of_its_own(code: ErrorCode) -> None:
    letter = letter_of(DeviceState.FAILED, code)
    assert letter != FAILED
    assert MEANINGS[letter] == Meaning(DeviceState.FAILED, code)


@pytest.mark.parametrize("reason", SkipReason)
def test_every_skip_reason_has_a_letter_of_its_own(reason: SkipReason) -> None:
    letter = letter_of(DeviceState.SKIPPED, reason)
    assert letter != SKIPPED
    assert MEANINGS[letter] == Meaning(DeviceState.SKIPPED, reason)


@pytest.mark.parametrize("reason", [None, "", "a reason of a later release", SkipReason.OFFLINE])
def test_a_failure_without_a_letter_of_its_own_has_that_of_all_failures(reason: str | None) -> None:
    assert letter_of(DeviceState.FAILED, reason) == FAILED


@pytest.mark.parametrize("reason", [None, "", "a reason of a later release", ErrorCode.REPORTED])
def test_a_skip_without_a_letter_of_its_own_has_that_of_all_skips(reason: str | None) -> None:
    assert letter_of(DeviceState.SKIPPED, reason) == SKIPPED


def test_a_reason_does_not_change_the_letter_of_another_state() -> None:
    assert letter_of(DeviceState.QUEUED, "timedOut") == letter_of(DeviceState.QUEUED, None)
