"""What a rollout's record tells of its devices, packages and waves."""

from dataclasses import replace

import pytest

from functions.rollouts.model.block import BlockSummary
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.failure_count import failure_code
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import package_key, read_package_key
from functions.rollouts.model.target import TargetResolution
from functions.rollouts.model.wave import Counts, WaveStratum, add_up, count
from tests.functions.builders import at, make_rollout, make_update, make_wave

EARLIER = tuple(
    Firmware(version="1.9.0", package_uri=f"https://packages.example/{number}.bin")
    for number in range(2)
)
ALL = Counts(queued=1, updating=2, soaking=4, completed=8, failed=16, cancelled=32, skipped=64)


# -- packages ----------------------------------------------------------------------------------


def test_a_device_of_a_rollback_has_its_own_package() -> None:
    rollout = make_rollout(earlier_firmware=EARLIER)
    assert rollout.packages == (rollout.firmware, *EARLIER)
    assert rollout.firmware_for(make_update()) is rollout.firmware
    for number in range(2):
        update = make_update(version="1.9.0", package=number)
        assert rollout.firmware_for(update) is EARLIER[number]


def test_the_links_of_a_device_are_its_packages_and_those_that_retries_replaced() -> None:
    rollout = make_rollout(earlier_firmware=EARLIER, earlier_links=("old", "older"))
    links = rollout.links_for(make_update(version="1.9.0", package=1))
    assert links == ("https://packages.example/1.bin", "old", "older")


@pytest.mark.parametrize(("number", "key"), [(0, "2.4.0"), (1, "2.4.0\n1"), (12, "2.4.0\n12")])
def test_a_key_names_a_package_and_is_read_back(number: int, key: str) -> None:
    assert package_key("2.4.0", number) == key
    assert read_package_key(key) == ("2.4.0", number)


# -- devices and waves -------------------------------------------------------------------------


def test_a_rollout_has_the_devices_of_its_waves() -> None:
    rollout = make_rollout(make_wave(3), make_wave(4, counts=Counts(queued=1, failed=3)))
    assert (rollout.total, rollout.wave_ends) == (7, (3, 7))
    assert rollout.counts == Counts(queued=4, failed=3)
    prepared = replace(rollout, resolution=TargetResolution(devices=5))
    assert prepared.counts == Counts(queued=5)


def test_a_rollout_is_followed_until_all_its_devices_have_ended_and_none_may_complete_late() -> (
    None
):
    over = make_rollout(ended_at=at(9))
    assert make_rollout().is_followed
    assert not over.is_followed
    late = (BlockSummary(None, 1), BlockSummary(at(90), 1))
    assert replace(over, block_summaries=late).is_followed


def test_counts_are_taken_of_states_and_add_up() -> None:
    assert (ALL.total, ALL.ended, ALL.eligible, ALL.healthy) == (127, 120, 63, 12)
    expected = Counts(
        queued=1, updating=4, soaking=1, completed=1, failed=1, cancelled=1, skipped=1
    )
    assert count(DeviceState) == expected
    assert add_up([]) == Counts()
    assert add_up([ALL, ALL, ALL]) == Counts(
        queued=3, updating=6, soaking=12, completed=24, failed=48, cancelled=96, skipped=192
    )


def test_all_failures_of_a_stratum_are_acknowledged_at_once() -> None:
    known = WaveStratum(counts=ALL, not_started=5, already_running=7, failed=(1, 2)).acknowledge()
    assert (known.acknowledged_failed, known.acknowledged_not_started) == (16, 5)
    assert (known.counts, known.already_running, known.failed) == (ALL, 7, (1, 2))


def test_measurements_of_the_hub_are_replaced_only_if_they_differ() -> None:
    rollout = make_rollout(finished=3)
    load = HubLoad(methods=2)
    measured = rollout.with_hub_load(load)
    assert (measured.measured.hub_load, measured.measured.finished) == (load, 3)
    assert measured.with_hub_load(HubLoad(methods=2)) is measured


def test_only_a_failed_update_has_the_code_of_a_failure() -> None:
    error = Reason(code="timedOut", message="why")
    assert failure_code(make_update(state=DeviceState.FAILED, error=error)) is ErrorCode.TIMED_OUT
    assert failure_code(make_update(state=DeviceState.FAILED)) is None
    assert failure_code(make_update(error=error)) is None
