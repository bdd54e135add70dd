"""Strata are read from options, and divide the fleet."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.rehearsal.durations import Durations
from simulator.rehearsal.strata import OTHER, Stratum, assign, complete, parse_stratum
from simulator.rehearsal.virtual_fleet import device_ids
from simulator.simulated_fleet.shares import Shares


def parts(*texts: str) -> dict[str, Decimal]:
    return {stratum.name: share for stratum, share in complete([*map(parse_stratum, texts)])}


def test_a_stratum_is_read_with_its_share_faults_and_durations() -> None:
    read = parse_stratum(
        "model=A:60%:fail=0.5%:wrong-version=1%:update-takes=6m..14m:fail-after=9s"
    )

    assert read == Stratum(
        name="model=A",
        share=Decimal(60),
        faults={"fail": Decimal("0.5"), "wrong_version": Decimal(1)},
        update_takes=Durations(360, 840),
        fail_after=Durations(9, 9),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with the name of a stratum"),
        (":60%", "does not begin with the name of a stratum"),
        ("60%", "does not begin with the name of a stratum"),
        ("a:60", "'60' is not a share"),
        ("a:60%:fail=2", "'2' is not a share"),
        ("a:fail", "'fail' is not a share"),
        ("a:60%:70%", "'70%' of 'a:60%:70%' is unknown; expected one of fail="),
        ("a:explode=2%", "'explode=2%' of 'a:explode=2%' is unknown"),
        ("a:fail=1%:fail=2%", "has fail twice"),
        ("a:fail-after=1s:fail-after=2s", "has fail-after twice"),
        ("a:fail-after=soon", "'soon' is not a length of time"),
    ],
)
def test_what_is_no_stratum_is_rejected_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_stratum(text)


def test_a_stratum_has_the_faults_of_the_fleet_unless_it_has_its_own() -> None:
    of_fleet = Shares(fail=Decimal(1), hang=Decimal(2))

    assert parse_stratum("a:fail=20%").shares(of_fleet) == Shares(fail=Decimal(20), hang=Decimal(2))
    with pytest.raises(ValueError, match="--stratum a: the shares total 101%"):
        parse_stratum("a:fail=99%").shares(of_fleet)


def test_strata_without_a_share_divide_what_is_left() -> None:
    assert parts("a:40%", "b", "c") == {"a": 40, "b": 30, "c": 30}
    assert parts("a:40%") == {"a": 40, OTHER: 60}
    assert parts("a:40%", "b:60%") == {"a": 40, "b": 60}
    assert parts() == {}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("a", "a:3%"), "--stratum a is given twice"),
        (("a:60%", "b:41%"), "the strata total 101%"),
        (("a:100%", "b"), "must leave devices for strata without a share"),
        (("other:50%",), "--stratum other must have no share"),
    ],
)
def test_strata_that_do_not_fit_together_are_rejected(texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parts(*texts)


@given(devices=st.integers(0, 300), count=st.integers(1, 12), seed=st.integers(0, 99))
def test_every_device_has_a_stratum_and_strata_have_their_shares(
    devices: int, count: int, seed: int
) -> None:
    strata = complete([Stratum(name=f"s{number}") for number in range(count)])
    ids = device_ids(devices)

    assigned = assign(ids, strata, seed)
    sizes = Counter(stratum.name for stratum in assigned.values())
    assert set(assigned) == set(ids)
    assert all(abs(sizes[item.name] - devices / count) < 1 for item, _ in strata)
    assert assign(ids[::-1], strata, seed) == assigned
