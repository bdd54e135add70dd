"""Processes of the cloud are killed or missing while a rollout is running."""

import logging
from collections.abc import Iterator

import pytest

from functions.rollout_store.table_storage import keys
from simulator.cloud.local_cloud import LocalCloud, run_cloud
from simulator.cloud.registration import Registration
from simulator.simulated_device.device_thread import DeviceThread
from tests.end_to_end.client import Api
from tests.end_to_end.conftest import make_options
from tests.end_to_end.fleet import Fleet
from tests.end_to_end.processes import kill, start_again
from tests.waiting import eventually


@pytest.fixture(scope="module")
def own_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Run a cloud that each test breaks, and repairs at its end."""
    with run_cloud(make_options(tmp_path_factory.mktemp("outages"))) as running:
        yield running


def test_a_device_is_updated_once_although_its_host_is_killed(
    own_cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api(own_cloud.options)
    with (
        caplog.at_level(logging.INFO, "device_agent"),
        DeviceThread() as thread,
    ):
        fleet = Fleet(own_cloud.options, thread, Registration(own_cloud.options))
        fleet.start("survivor", stage_seconds=1)
        created = api.create("survivor")
        kill(own_cloud.host)
        start_again(own_cloud.host)
        ended = api.get(f"/rollouts/{created['id']}?waitSeconds=30")
    assert ended["status"] == "completed"
    starts = [line for line in caplog.messages if "downloading" in line]
    assert len(starts) == 1, caplog.messages


def test_without_its_hub_the_api_is_unavailable_and_stores_nothing(own_cloud: LocalCloud) -> None:
    api = Api(own_cloud.options)
    registration = Registration(own_cloud.options)
    registration.register("there")
    before = api.get("/rollouts")["value"]
    kill(own_cloud.hub)
    body = {
        "firmware": {"version": "2", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": ["there"]},
    }
    response = api.call("POST", "/rollouts", body)
    assert response.status == 503
    assert int(response.headers["retry-after"]) > 0
    health = api.call("GET", "/health")
    assert health.status == 503
    assert health.json["parts"] == {"hub": "failing", "storage": "ok"}
    assert api.get("/rollouts")["value"] == before
    start_again(own_cloud.hub)
    eventually(lambda: api.call("GET", "/health/ready").status == 200)


def test_without_its_storage_the_api_is_unavailable_and_recovers(own_cloud: LocalCloud) -> None:
    api = Api(own_cloud.options)
    eventually(lambda: api.call("GET", "/health").status == 200)
    tables = own_cloud.options.azurite.location / "__azurite_db_table__.json"
    # Azurite saves every five seconds; a table that it has not saved is missing afterwards.
    eventually(lambda: tables.exists() and keys.TABLE in tables.read_text())
    kill(own_cloud.storage)
    for path in ("/rollouts", "/rollouts/98204585790876-33f54ea28ab6"):
        response = api.call("GET", path)
        assert response.status == 503, response
        assert int(response.headers["retry-after"]) > 0
    start_again(own_cloud.storage)
    eventually(lambda: api.call("GET", "/health").status == 200)
    eventually(lambda: api.call("GET", "/rollouts").status == 200)
