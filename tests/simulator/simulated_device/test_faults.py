"""Test parsing faults and drawing them from a seed."""

import pytest

from device_agent.journal import Phase
from simulator.simulated_device.faults import (
    KNOWN_FAULTS,
    FaultError,
    Faults,
    draw_faults,
    parse_faults,
)


def test_each_text_is_one_fault() -> None:
    words = ["slow=1000", "cut", "disk-full=5", "crash=installing", "busy=3", "low-battery=12"]
    assert parse_faults(words) == Faults(
        bytes_per_second=1000,
        cuts=1,
        disk_bytes=5,
        crash_at=Phase.INSTALLING,
        busy_seconds=3,
        battery_percent=12,
    )
    assert parse_faults([]) == Faults()


@pytest.mark.parametrize(
    "word", ["rust", "slow", "slow=fast", "cut=-1", "corrupt=yes", "crash=never", ""]
)
def test_an_invalid_fault_is_named(word: str) -> None:
    with pytest.raises(FaultError, match=f"invalid fault '{word}'"):
        parse_faults([word])


def test_a_seed_draws_the_same_faults_and_reaches_every_one() -> None:
    ids = [f"d{number}" for number in range(400)]
    first = [draw_faults(7, device_id) for device_id in ids]
    assert first == [draw_faults(7, device_id) for device_id in ids]
    assert first != [draw_faults(8, device_id) for device_id in ids]
    plain = Faults()
    for field, *_ in KNOWN_FAULTS.values():
        assert any(getattr(one, field) != getattr(plain, field) for one in first), field
    assert plain in first
