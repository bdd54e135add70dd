"""Test that a device that crashes at any operation updates or falls back, and reports which.

`DEVICE_CRASH_RUNS` sets the number of runs with several crashes each.
"""
# ruff: noqa: S311 - seeded on purpose

import os
import random

import pytest

from device_agent.download_limits import DownloadLimits
from device_agent.slots import read_record, read_slot
from simulator.simulated_device.bootloader import boot
from tests.device_agent.bench_device import CHUNK, NEW, OLD, Bench
from tests.device_agent.volatile_disk import PowerLossError

RUNS = int(os.environ.get("DEVICE_CRASH_RUNS", "400"))


def survive(bench: Bench, fails_at: list[int], chance: random.Random, *, killed: float) -> None:
    """Run until no work is left; the backend repeats its method after every start.

    `killed` is the share of crashes that keep the power on, so that nothing is lost.
    """
    crashes = list(fails_at)
    while True:
        restarts = bench.restarts
        bench.power.back(crashes.pop(0) if crashes else None)
        try:
            bench.run_once(bench.payload)
        except PowerLossError:
            if chance.random() >= killed:
                bench.disk.lose_power(chance)
            continue
        if bench.restarts == restarts and not crashes:
            return


def check(bench: Bench, crashes: int) -> None:
    """Check what holds after any sequence of crashes.

    A killed process loses what was in transit; a loss of power also loses what was not synced.
    """
    bench.power.back(None)
    slot = boot(bench.disk)
    running = read_slot(bench.disk, slot)
    record = read_record(bench.disk)
    assert running is not None
    assert record is not None
    assert record.trial is None or not record.starts_left, "a slot is still on trial"
    reported = [report.status for report in bench.reports]
    assert set(reported) <= {"standBy", "downloading", "applying", "completed", "failed"}
    assert not {"completed", "failed"} <= set(reported), "both ends were reported"
    if "completed" in reported:
        assert running.version == bench.twin["firmwareVersion"] == NEW
    else:
        assert bench.twin["firmwareUpdate"]["errorCode"] == "reverted"
        assert running.version == bench.twin["firmwareVersion"] == OLD
    losses = int(bench.disk.session)
    lost = crashes * CHUNK + losses * bench.limits.sync_bytes
    assert bench.server.sent <= len(bench.package) + lost


def operations(bench: Bench) -> int:
    bench.power.back(None)
    bench.run(bench.payload)
    return bench.power.count


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "power lost"])
def test_a_crash_at_any_operation_still_ends_on_the_new_firmware(*, killed: bool) -> None:
    count = operations(Bench())
    assert count > 60
    for fails_at in range(1, count + 1):
        bench = Bench()
        survive(bench, [fails_at], random.Random(fails_at), killed=killed)
        check(bench, crashes=1)
        assert bench.reports[-1].status == "completed"
        assert bench.twin["firmwareVersion"] == NEW, fails_at


@pytest.mark.parametrize("health_problem", [None, "no sensor responds"])
def test_a_device_that_crashes_repeatedly_runs_what_it_reports(health_problem: str | None) -> None:
    count = operations(Bench())
    ends = []
    for seed in range(RUNS):
        chance = random.Random(seed)
        crashes = [chance.randint(1, count // 2) for _ in range(chance.randint(1, 12))]
        bench = Bench(health_problem=health_problem)
        bench.server.cuts = [chance.randint(0, 5000) for _ in range(chance.randint(0, 4))]
        survive(bench, crashes, chance, killed=chance.choice([0, 0.5, 1]))
        check(bench, len(crashes))
        ends.append(bench.twin["firmwareVersion"])
    if health_problem is None:
        assert ends.count(NEW) > 0.9 * RUNS
    else:
        assert set(ends) == {OLD}


def test_bytes_received_after_a_loss_of_power_survive_a_kill() -> None:
    bench = Bench(limits=DownloadLimits(sync_bytes=1 << 20))
    for is_power_lost in (True, False):
        bench.power.back(40)
        with pytest.raises(PowerLossError):
            bench.run_once(bench.payload)
        if is_power_lost:
            bench.disk.lose_power(random.Random(2))
    bench.power.back(None)
    received = bench.disk.size("package")
    bench.run()
    assert received > 2000
    assert bench.server.offsets[-1] == received


def test_new_firmware_that_never_reaches_its_health_check_is_reverted() -> None:
    bench = Bench()
    bench.run_once(bench.payload)
    for _ in range(3):
        bench.power.back(None)
        assert bench.agent().is_on_trial  # and crashes
    bench.run()
    assert bench.twin["firmwareStatus"] == "failed"
    assert bench.twin["firmwareVersion"] == OLD
    check(bench, crashes=3)


def test_a_slot_damaged_before_the_restart_falls_back() -> None:
    bench = Bench()
    bench.run_once(bench.payload)
    bench.disk.seen["b.image"][100] ^= 1
    bench.run()
    check(bench, crashes=0)
    assert bench.twin["firmwareUpdate"]["errorCode"] == "reverted"
