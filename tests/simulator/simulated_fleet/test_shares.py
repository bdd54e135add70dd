"""Test that faults match their shares and depend on the seed only."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.simulated_fleet.shares import Fault, Shares, choose_faults, share

PERCENTS = st.lists(st.integers(0, 10_000), min_size=5, max_size=5).filter(
    lambda cents: sum(cents) <= 10_000
)
SEEDS = st.integers(0, 1000)


def shares_of(cents: list[int]) -> Shares:
    fail, hang, offline, revert, wrong = (Decimal(part) / 100 for part in cents)
    return Shares(fail=fail, hang=hang, offline=offline, revert=revert, wrong_version=wrong)


def ids(count: int) -> list[str]:
    return [f"simulated-{number}" for number in range(count)]


@given(count=st.integers(0, 300), cents=PERCENTS, seed=SEEDS)
def test_every_count_differs_from_its_share_by_less_than_one_device(
    count: int, cents: list[int], seed: int
) -> None:
    shares = shares_of(cents)

    counts = Counter(choose_faults(ids(count), shares, seed).values())

    assert counts.total() == count
    for fault, percent in shares.in_order:
        exact = count * percent / 100
        assert abs(counts[fault] - exact) < 1
        assert counts[fault] == exact or exact != int(exact) or sum(cents) != percent * 100


@given(count=st.integers(1, 100), seed=SEEDS, shuffled=st.randoms())
def test_the_order_of_the_ids_does_not_matter(count: int, seed: int, shuffled: object) -> None:
    shares = Shares(fail=Decimal(30), offline=Decimal(20))
    other_order = sorted(ids(count), key=lambda _: shuffled.random())  # type: ignore[attr-defined]

    assert choose_faults(other_order, shares, seed) == choose_faults(ids(count), shares, seed)


def test_whole_numbers_are_exact_and_another_seed_chooses_other_devices() -> None:
    shares = Shares(fail=Decimal(5), hang=Decimal("2.5"), offline=Decimal(10), revert=Decimal(1))

    first, second = (choose_faults(ids(2000), shares, seed) for seed in (1, 2))

    expected = {
        Fault.FAILING: 100,
        Fault.HANGING: 50,
        Fault.OFFLINE: 200,
        Fault.REVERTING: 20,
        Fault.NONE: 1630,
    }
    assert Counter(first.values()) == Counter(second.values()) == expected
    assert first != second


def test_all_devices_may_have_a_fault_but_shares_over_100_are_refused() -> None:
    everybody = Shares(fail=Decimal(100))

    assert set(choose_faults(ids(7), everybody, 1).values()) == {Fault.FAILING}
    with pytest.raises(ValueError, match="must not exceed 100%"):
        Shares(fail=Decimal(60), hang=Decimal("40.01"))


@pytest.mark.parametrize("text", ["", "5", "-1%", "100.01%", "1.005%", "NaN%", "a%", "Infinity%"])
def test_an_invalid_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        share(text)


def test_shares_are_read_exactly() -> None:
    assert [share(text) for text in ("0%", "0.25%", " 100% ")] == [0, Decimal("0.25"), 100]
