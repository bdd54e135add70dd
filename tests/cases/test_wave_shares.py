"""Check that waves given as shares fit every fleet.

Today each share is rounded up by itself, so that 50% and 50% request 4 of 3 devices.
"""

import pytest

from functions.rollouts.model.strategy import WavePlan, percent
from functions.rollouts.rollout.start_order import WavesError, plan_waves

pytestmark = pytest.mark.xfail(
    strict=True, raises=WavesError, reason="A12: cumulative shares fit every fleet"
)


@pytest.mark.parametrize("total", [3, 101])
def test_shares_of_100_percent_in_all_fit_any_fleet(total: int) -> None:
    waves = plan_waves((WavePlan(size=percent(50)), WavePlan(size=percent(50))), total)
    assert sum(wave.size for wave in waves) == total


@pytest.mark.parametrize("shares", [(33, 33, 34), (10,) * 10])
def test_three_and_ten_shares_fit_a_fleet_of_101(shares: tuple[int, ...]) -> None:
    waves = plan_waves(tuple(WavePlan(size=percent(share)) for share in shares), 101)
    assert sum(wave.size for wave in waves) == 101


def test_a_fleet_of_one_fits_a_canary_and_an_early_wave() -> None:
    assert len(plan_waves((WavePlan(size=percent(1)), WavePlan(size=percent(10))), 1)) >= 1
