"""What tests of several rooms need: real parts, started once and stopped at the end."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from simulator import azurite
from tests.ports import free_ports

# Any single example may take long on a busy machine, and the first one on a new checkout.
settings.register_profile(
    "no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a storage emulator that all tests share."""
    blob, queue, table = free_ports(3)
    options = azurite.AzuriteOptions(
        blob_port=blob,
        queue_port=queue,
        table_port=table,
        location=tmp_path_factory.mktemp("azurite"),
    )
    with azurite.running(options) as connection_string:
        yield connection_string
