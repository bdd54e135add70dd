"""Runs the whole local cloud on an address of its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.cloud.local_cloud import LocalCloud, run_cloud
from simulator.cloud.options import CloudOptions
from simulator.cloud.registration import Registration
from simulator.hub.loopback import free_address
from simulator.simulated_device.device_thread import DeviceThread
from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet
from tests.ports import free_ports

EVERY_SECOND = "* * * * * *"


def make_options(directory: Path) -> CloudOptions:
    address = free_address()
    host, hub, blob, queue, table = free_ports(5, address)
    return CloudOptions(
        address=address,
        host_port=host,
        hub_https_port=hub,
        blob_port=blob,
        queue_port=queue,
        table_port=table,
        local_directory=directory,
        advance_schedule=EVERY_SECOND,
    )


@pytest.fixture(scope="session")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Run one cloud, with the quotas of ten S1 units, for all tests that leave it unchanged."""
    options = replace(make_options(tmp_path_factory.mktemp("cloud")), throttle_scale=10)
    with run_cloud(options) as running:
        yield running


@pytest.fixture
def api(shared_cloud: LocalCloud) -> Api:
    return Api(shared_cloud.options)


@pytest.fixture
def fleet(shared_cloud: LocalCloud) -> Iterator[Fleet]:
    with DeviceThread() as thread:
        yield Fleet(shared_cloud.options, thread, Registration(shared_cloud.options))
