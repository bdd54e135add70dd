"""What is shown of each stratum."""

from typing import Any

import pytest

from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.stratum_view import StratumStatus, StratumView
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout.stratum_view import view_strata
from tests.functions.builders import at
from tests.functions.rollouts.rollout.stratified import (
    SMALL,
    WHY,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

ROLLOUT = make_stratified(
    make_stratified_wave(make_part(3, completed=2), make_part(queued=1)),
    make_stratified_wave(make_part(queued=20), make_part(skipped=9)),
)


def test_a_stratum_is_judged_if_its_devices_could_breach_the_gate() -> None:
    large, small = view_strata(ROLLOUT)
    assert large == StratumView(
        name="large",
        size=23,
        status=StratumStatus.JUDGED,
        counts=Counts(queued=20, completed=2, failed=1),
        reason=None,
        frozen_at=None,
        rolled_back_by=None,
    )
    assert (small.name, small.size, small.status) == ("small", 10, StratumStatus.TOO_SMALL)


@pytest.mark.parametrize(
    ("values", "status", "rolled_back_by"),
    [
        ({}, StratumStatus.FROZEN, None),
        ({"is_cancelled": True}, StratumStatus.CANCELLED, None),
        ({"is_cancelled": True, "rollback": RollbackDue("r")}, StratumStatus.CANCELLED, None),
        ({"is_cancelled": True, "rollback": RolledBack("r")}, StratumStatus.CANCELLED, "r"),
    ],
)
def test_a_frozen_stratum_shows_why_and_since_when(
    values: dict[str, Any], status: StratumStatus, rolled_back_by: str | None
) -> None:
    _, small = view_strata(freeze(ROLLOUT, SMALL, **values))
    assert (small.status, small.rolled_back_by) == (status, rolled_back_by)
    assert (small.reason, small.frozen_at) == (WHY, at(10))
