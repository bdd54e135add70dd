"""Test which failures are recorded for the quarantine of devices, and what that costs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import UnknownError
from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.quarantine import FailureRecord, QuarantineRule
from functions.rollouts.model.reason import Reason
from functions.use_cases import quarantine
from functions.use_cases.plan import plan
from tests.functions.builders import NOON, make_blocks, make_moment, make_rollout, make_update
from tests.functions.fragile import before
from tests.functions.use_cases.joiner_worlds import make
from tests.functions.use_cases.world import World, device, devices

MONTH = timedelta(days=30)
ROLLOUT = make_rollout()


@pytest.fixture
def world() -> World:
    world = World(devices(3), still=True)
    rule = QuarantineRule(failures=1, period=MONTH)
    world.services = replace(world.services, quarantine_rule=rule)
    return world


def counted(store: Any, name: str) -> list[Any]:
    """Return the arguments of each call of a method, as they come in."""
    method, calls = getattr(store, name), []

    def call(*arguments: Any) -> Any:
        calls.append(arguments)
        return method(*arguments)

    setattr(store, name, call)
    return calls


def put_in(world: World, *device_ids: str, rollout_id: str = "earlier") -> None:
    for device_id in device_ids:
        record = FailureRecord(
            device_id=device_id, failed_at={rollout_id: world.now}, until=world.now + MONTH
        )
        world.stores.quarantine.save(record, None)


def failures_of(world: World, device_id: str) -> set[str]:
    stored = world.stores.quarantine.get(device_id)
    return set(stored.record.failed_at) if stored else set()


def ended(state: DeviceState, code: ErrorCode | None = None) -> DeviceUpdate:
    error = None if code is None else Reason(code=code, message="It failed.")
    return make_update("d-000", state=state, error=error)


FAILED_BEFORE = make_update(
    "d-000",
    state=DeviceState.SOAKING,
    history=(HistoryEntry(DeviceState.FAILED, 1, NOON, "It failed."),),
)


@pytest.mark.parametrize(
    ("old", "new", "recorded", "reads"),
    [
        (make_update("d-000"), ended(DeviceState.FAILED, ErrorCode.REPORTED), {"own", "x"}, 1),
        (make_update("d-000"), ended(DeviceState.FAILED, ErrorCode.UNREACHABLE), {"x"}, 0),
        (make_update("d-000"), ended(DeviceState.FAILED), {"x"}, 0),
        (make_update("d-000"), ended(DeviceState.COMPLETED), {"own", "x"}, 0),
        (FAILED_BEFORE, ended(DeviceState.COMPLETED), {"x"}, 1),
        (FAILED_BEFORE, ended(DeviceState.SKIPPED), {"own", "x"}, 0),
    ],
)
def test_a_failure_of_the_firmware_is_recorded_and_taken_back_once_the_device_completes(
    world: World, old: DeviceUpdate, new: DeviceUpdate, recorded: set[str], reads: int
) -> None:
    is_recorded = new.state is not DeviceState.FAILED
    failed_at = {"x": world.now} | ({ROLLOUT.id: world.now} if is_recorded else {})
    record = FailureRecord(device_id="d-000", failed_at=failed_at)
    world.stores.quarantine.save(record, None)
    calls = counted(world.stores.quarantine, "get")
    before, after = make_blocks([old]), make_blocks([new])
    quarantine.record_ends(world.services, ROLLOUT, before, after)
    assert len(calls) == reads
    expected = {ROLLOUT.id if item == "own" else item for item in recorded}
    assert failures_of(world, "d-000") == expected
    quarantine.record_ends(world.services, ROLLOUT, after, after)
    assert failures_of(world, "d-000") == expected


def test_devices_in_quarantine_are_read_once_in_ten_seconds(world: World) -> None:
    put_in(world, "d-000")
    calls = counted(world.stores.quarantine, "list_quarantined")
    seen = []
    for seconds in (0.0, 9.5, 0.5):
        world.pass_time(seconds=seconds)
        assert quarantine.list_among(world.services, ["d-001", "d-000"]) == ["d-000"]
        seen.append(len(calls))
    assert seen == [1, 1, 2]


def test_nothing_is_read_for_no_device_for_a_rollback_or_without_the_setting(world: World) -> None:
    put_in(world, "d-000")
    calls = counted(world.stores.quarantine, "list_quarantined")
    undoing = make_rollout(rollback_of="r")
    assert quarantine.find(world.services, ROLLOUT, []) == {}
    assert quarantine.find(world.services, undoing, ["d-000"]) == {}
    off = replace(world.services, quarantine_rule=None)
    assert quarantine.find(off, ROLLOUT, ["d-000"]) == {}
    assert quarantine.read(off, "d-000") is None
    assert calls == []


def test_a_rollout_takes_a_device_that_failed_in_it(world: World) -> None:
    put_in(world, "d-000")
    put_in(world, "d-001", rollout_id=ROLLOUT.id)
    found = quarantine.find(world.services, ROLLOUT, ["d-000", "d-001", "d-002"])
    assert list(found) == ["d-000"]
    assert "it failed in 1 rollout: earlier." in found["d-000"]


def test_a_quarantine_ends_at_its_time(world: World) -> None:
    put_in(world, "d-000")
    world.clock.now += MONTH - timedelta(seconds=1)
    assert quarantine.read(world.services, "d-000") is not None
    assert quarantine.list_among(world.services, ["d-000"]) == ["d-000"]
    world.pass_time(seconds=1)
    assert quarantine.read(world.services, "d-000") is None
    assert quarantine.list_among(world.services, ["d-000"]) == []


def test_a_release_is_known_at_once_and_forgets_what_another_process_adds(world: World) -> None:
    put_in(world, "d-000", "d-001")
    assert quarantine.list_among(world.services, ["d-000"]) == ["d-000"]

    def fail_elsewhere() -> None:
        stored = world.stores.quarantine.get("d-000")
        assert stored is not None
        failed = replace(stored.record, failed_at={"elsewhere": world.now})
        world.stores.quarantine.save(failed, stored.version)

    with before(world.stores.quarantine, "save", fail_elsewhere):
        assert quarantine.release(world.services, "d-000").failed_at.keys() == {"earlier"}
    assert quarantine.list_among(world.services, ["d-000", "d-001"]) == ["d-001"]
    assert failures_of(world, "d-000") == set()
    with pytest.raises(UnknownError, match="'d-000' is not in quarantine"):
        quarantine.release(world.services, "d-000")


def test_an_event_names_ten_of_the_skipped_devices() -> None:
    moment, skipped = make_moment(), [f"d-{number:02}" for number in range(12, 0, -1)]
    event = quarantine.add_skipped_event(ROLLOUT, moment, skipped).audit.events[-1]
    names = ", ".join(f"d-{number:02}" for number in range(1, 11))
    assert (event.action, event.message) == ("quarantined", f"Skipped 12 in quarantine: {names}.")
    assert quarantine.add_skipped_event(ROLLOUT, moment, []) is ROLLOUT


@pytest.mark.parametrize(("rollback_of", "count"), [(None, 2), ("r", None)])
def test_a_plan_warns_of_devices_in_quarantine_unless_it_is_a_rollback(
    world: World, rollback_of: str | None, count: int | None
) -> None:
    put_in(world, "d-000", "d-002")
    request = replace(world.request(), rollback_of=rollback_of)
    warnings = {item.code: item.count for item in plan(world.services, request).warnings}
    assert warnings.get("quarantined") == count


@pytest.mark.parametrize("size", [3, 100])
def test_devices_join_while_failures_are_recorded(size: int) -> None:
    """A block is stored with more devices than before, or, of 100 devices, for the first time."""
    world = World(devices(size, stage=150))
    rule = QuarantineRule(failures=1, period=MONTH)
    world.services = replace(world.services, quarantine_rule=rule)
    rollout_id = make(world)
    world.hub.register(device("new"))
    world.hub.register(device("known"))
    put_in(world, "known")
    world.ticks(20)
    assert world.rollout(rollout_id).total == size + 2
    ended = world.until_over(rollout_id)
    assert ended.counts.completed == size + 1
    assert world.update(rollout_id, "known").skip_reason is SkipReason.QUARANTINED
