"""The app's count of the hub's messages of a day is the hub's own, also with large twins."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin

from functions.rollout_store.table_storage.stores import open_table_stores
from functions.rollouts.model.quotas import Tier, quotas
from simulator.cloud.local_cloud import run_cloud
from simulator.cloud.options import CloudOptions
from tests.end_to_end.client import FIRMWARE, Api
from tests.end_to_end.conftest import make_options
from tests.end_to_end.hub_side import metrics
from tests.end_to_end.simulated_fleet import connected_fleet
from tests.functions.manifests import signed

DEVICES = 30
TAGS = 7  # of 1 KB; with what the devices report, a twin has 8 KB
MANIFEST_BYTES = 4 * 1024
MAX_DIFFERENCE = 0.02
# The service stores what a tick used when the tick ends.
SETTLED_SECONDS = 3
# Of a larger hub, not of a faster clock: the count begins again with each day of the hub.
UNITS = 50
MAX_SECONDS = 60  # of the rollout


@pytest.fixture
def options(tmp_path: Path) -> Iterator[CloudOptions]:
    with run_cloud(replace(make_options(tmp_path), units=UNITS)) as running:
        yield running.options


def enlarge_twins(options: CloudOptions, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each twin `TAGS`."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(options.ca))
    registry = IoTHubRegistryManager.from_connection_string(options.service_connection_string)
    tags = {f"tag{number}": "x" * 1024 for number in range(TAGS)}
    for device_id in ids:
        registry.update_twin(device_id, Twin(tags=tags))


def wait_for_a_day_with_time_left() -> None:
    """Wait for the hub's next day if this one ends within `MAX_SECONDS`."""
    now = datetime.now(UTC)
    left = (quotas(Tier.S1, UNITS).day_ends_at(now) - now).total_seconds()
    if left < MAX_SECONDS:
        time.sleep(left)


def test_messages_of_a_rollout_with_large_twins_and_manifests_are_counted_as_billed(
    options: CloudOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api(options)
    firmware = FIRMWARE | {"manifest": signed(notes="n" * MANIFEST_BYTES)}
    with connected_fleet(options, DEVICES, "--stage-seconds", "0.5") as ids:
        enlarge_twins(options, ids, monkeypatch)
        wait_for_a_day_with_time_left()
        before = metrics(options)["messages"]
        body = {
            "firmware": firmware,
            "target": {"deviceIds": ids},
            "strategy": {"soak": "PT10S"},
        }
        ended = api.wait_for_end(api.post("/rollouts", body, 201))
        assert ended["counts"]["completed"] == DEVICES, ended
        time.sleep(SETTLED_SECONDS)
        billed = metrics(options)["messages"] - before
    budget = open_table_stores(options.storage_connection_string, None).budget.get()
    assert budget is not None
    counted = budget.record.messages_spent
    assert abs(counted - billed) <= MAX_DIFFERENCE * billed, (counted, billed)
