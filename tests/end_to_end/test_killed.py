"""Hosts that are killed repeatedly, and two hosts at once: every update starts once."""

import logging
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_agent.dialect import TUTORIAL
from simulator.cloud.local_cloud import LocalCloud, run_cloud
from simulator.cloud.registration import Registration
from simulator.simulated_device.device_thread import DeviceThread
from tests.end_to_end.checks import check_counters, list_updates
from tests.end_to_end.client import Api
from tests.end_to_end.conftest import make_options
from tests.end_to_end.fleet import Fleet
from tests.end_to_end.hub_side import count_starts, last_versions, methods
from tests.end_to_end.processes import kill, second_host, start_again
from tests.end_to_end.simulated_fleet import connected_fleet

KILLS = 3
KILLED_DEVICES = 45
# Longer than the lease of a claim and that of a batch, one after the other.
SETTLED_SECONDS = 240


@pytest.fixture
def own_cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """Run a cloud with ten times the quotas of one S1 unit."""
    with run_cloud(replace(make_options(tmp_path), throttle_scale=10)) as running:
        yield running


def check_started_once(api: Api, rollout_id: str, ids: list[str]) -> None:
    """Check that every device started once, completed with its first attempt, and is counted."""
    assert count_starts(api.options, rollout_id) == Counter(
        {(device_id, 1): 1 for device_id in ids}
    )
    versions = last_versions(api.options)
    assert {versions[device_id] for device_id in ids} == {"2.4.0"}
    updates = list_updates(api, rollout_id)
    assert sorted(item["deviceId"] for item in updates) == sorted(ids)
    assert {(item["state"], item["attempt"]) for item in updates} == {("completed", 1)}
    assert check_counters(api, rollout_id)["completed"] == len(ids)


def test_a_repeatedly_killed_host_starts_each_update_once(own_cloud: LocalCloud) -> None:
    api = Api(own_cloud.options)
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    with connected_fleet(own_cloud.options, KILLED_DEVICES, "--stage-seconds", "0.5") as ids:
        # A short delay before devices are invoked again that a killed dispatcher left in doubt.
        created = api.create(*ids, maxInFlight=15, retry={"initialDelay": "PT1S"})
        completed: list[int] = []
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 2))
            kill(own_cloud.host)
            start_again(own_cloud.host)
            completed.append(api.get(f"/rollouts/{created['id']}")["counts"]["completed"])
        assert completed == sorted(completed)
        assert completed[0] < len(ids)
        ended = api.wait_for_end(created, seconds=SETTLED_SECONDS)
        assert ended["status"] == "completed"
        check_started_once(api, created["id"], ids)


def test_two_hosts_start_each_of_a_hundred_updates_once(
    own_cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api(own_cloud.options)
    with second_host(own_cloud) as other:
        with connected_fleet(own_cloud.options, 100, "--stage-seconds", "0.2") as ids:
            before = methods(own_cloud.options)
            # Few devices at once, so that almost every tick has a batch.
            created = api.create(*ids, maxInFlight=25)
            ended = api.wait_for_end(created)
            assert ended["status"] == "completed"
            check_started_once(api, created["id"], ids)
            assert methods(own_cloud.options) - before == len(ids)
        _check_devices_that_would_start_again(own_cloud, caplog)
        for process in (own_cloud.host, other):
            assert "advance_rollouts" in process.options.log.read_text()


def _check_devices_that_would_start_again(
    cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """Update devices of the tutorial, which start a repeated method again."""
    names = [f"shared-{number}" for number in range(12)]
    with caplog.at_level(logging.INFO, "device_agent"), DeviceThread() as thread:
        fleet = Fleet(cloud.options, thread, Registration(cloud.options))
        for name in names:
            fleet.start(name, dialect=TUTORIAL)
        api = Api(cloud.options)
        ended = api.wait_for_end(api.create(*names))
    assert ended["counts"]["completed"] == len(names)
    responses = [line for line in caplog.messages if "responds to firmwareUpdate" in line]
    assert len(responses) == len(names), responses
