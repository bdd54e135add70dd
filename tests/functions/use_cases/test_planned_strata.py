"""Test what a plan says of the strata of its target."""

from collections.abc import Sequence

import pytest

from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy
from functions.rollouts.model.target import TargetDevice
from functions.use_cases.planned_strata import describe_strata
from functions.use_cases.target_devices import FoundDevices
from tests.functions.use_cases.world import FIRMWARE


def request(on_breach: OnBreach = OnBreach.PAUSE, *paths: str) -> NewRollout:
    strategy = Strategy(stratify_by=paths, failure_gate=FailureGate(on_breach=on_breach))
    return NewRollout(firmware=FIRMWARE, strategy=strategy, body_hash="")


def found(sizes: Sequence[int], *, complete: bool = True) -> FoundDevices:
    """Return devices in strata m0, m1, ... of these sizes."""
    devices = [
        TargetDevice(f"d-{stratum}-{number}", f"m{stratum}")
        for stratum, size in enumerate(sizes)
        for number in range(size)
    ]
    return FoundDevices(devices=devices, complete=complete)


BY_MODEL = request(OnBreach.PAUSE, "tags.model")


@pytest.mark.parametrize(
    ("sizes", "small"),
    [
        ([2, 2], []),
        ([2, 1], ["m1 (1)"]),
        ([2, 2, 2], ["m0 (2)", "m1 (2)", "m2 (2)"]),
        ([3, 2, 3], ["m1 (2)"]),
        ([3, 3, 3], []),
    ],
)
def test_a_stratum_is_too_small_if_its_gate_would_not_stop_it_after_all_fail(
    sizes: Sequence[int], small: list[str]
) -> None:
    warning = describe_strata(BY_MODEL, found(sizes))
    if not small:
        assert warning is None
        return
    assert warning is not None
    code, message, count = warning
    assert (code, count) == ("stratumTooSmall", len(small))
    assert message.startswith("1 stratum is" if count == 1 else f"{count} strata are")
    assert f": {', '.join(small)}. " in message


@pytest.mark.parametrize(("action", "pauses"), [(OnBreach.FREEZE, True), (OnBreach.PAUSE, False)])
def test_one_stratum_is_not_judged_so_a_freeze_becomes_a_pause(
    action: OnBreach, pauses: bool
) -> None:
    warning = describe_strata(request(action, "tags.model"), found([5]))
    assert warning is not None
    code, message, count = warning
    assert (code, count) == ("oneStratum", 1)
    assert ("A breach pauses the rollout." in message) is pauses


def test_strata_of_a_target_that_is_resolved_later_are_not_known() -> None:
    warning = describe_strata(BY_MODEL, found([2, 1], complete=False))
    assert warning is not None
    assert (warning[0], warning[2]) == ("strataNotKnown", 3)


def test_a_plan_without_strata_says_nothing_of_them() -> None:
    assert describe_strata(request(), found([2, 1])) is None
