"""What all tests share: real parts, started once and stopped at the end, and their order."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from simulator import azurite
from tests.ports import free_ports

# Any single example may take long on a busy machine, and the first one on a new checkout.
# Mutation tests run each test many times, so they set a smaller number of examples.
settings.register_profile(
    "no deadline",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")),
)
settings.load_profile("no deadline")

# The slowest files and folders: one file takes 20 to 150 s. They start first, so that the workers
# end at about the same time.
SLOW = (
    "tests/end_to_end/",
    "tests/simulator/cloud/",
    "tests/page/",
    "tests/docs/",
    "tests/simulator/hub/test_fuzz.py",
    "tests/functions/use_cases/",
    "tests/cases/",
    "tests/functions/triggers/test_described_bodies.py",
    "tests/functions/rollout_store/",
    "tests/simulator/simulated_device/",
    "tests/simulator/host/",
    "tests/device_agent/test_crashes.py",
    "tests/language/",
)
# What these run, others cover. They run it thousands of times, or in other processes, and
# measuring would take them more than half as long again.
NOT_MEASURED = (
    "tests/cases/",
    "tests/docs/",
    "tests/end_to_end/",
    "tests/functions/rollout_store/test_rows.py",
    "tests/functions/triggers/test_described_bodies.py",
    "tests/functions/use_cases/test_crashes.py",
    "tests/functions/use_cases/test_overlapping_rollouts.py",
    "tests/functions/use_cases/test_properties.py",
    "tests/signed_firmware/",
    "tests/simulator/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_order)
    for item in items:
        if item.nodeid.startswith(NOT_MEASURED):
            item.add_marker("no_cover")


def _order(item: pytest.Item) -> int:
    return next((n for n, name in enumerate(SLOW) if item.nodeid.startswith(name)), len(SLOW))


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a storage emulator for all tests; yield its connection string."""
    blob, queue, table = free_ports(3)
    options = azurite.AzuriteOptions(
        blob_port=blob,
        queue_port=queue,
        table_port=table,
        location=tmp_path_factory.mktemp("azurite"),
    )
    with azurite.run(options) as connection_string:
        yield connection_string
