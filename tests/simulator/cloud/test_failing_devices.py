"""Which devices fail, and with which firmware."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from simulator.cloud.connected_devices import device_ids
from simulator.cloud.failing_devices import FAILURE, choose_failing
from simulator.simulated_device.simulated_updates import SimulatedUpdates, UpdateSettings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_share_is_exact_and_the_same_in_each_run() -> None:
    ids = device_ids(30)
    chosen = choose_failing(ids, Decimal(20))
    assert len(chosen) == 6
    assert choose_failing(reversed(ids), Decimal(20)) == chosen
    assert choose_failing(ids, Decimal(0)) == frozenset()


@pytest.mark.parametrize(("version", "status"), [("2.4.0", "completed"), ("2.5.0", "failed")])
def test_only_the_bad_firmware_fails(version: str, status: str) -> None:
    failure = replace(FAILURE, versions=frozenset({"2.5.0"}))
    device = SimulatedUpdates(UpdateSettings(stage_delay=timedelta(0), failure=failure))
    device.start({}, NOON)
    payload = {"fwPackageUri": "https://a.example/fw", "rolloutId": "r", "attempt": 1}
    device.invoke("firmwareUpdate", {**payload, "version": version}, NOON)
    reports = []
    while (report := device.advance(NOON)) is not None:
        reports.append(report)
    assert reports[-1].status == status
