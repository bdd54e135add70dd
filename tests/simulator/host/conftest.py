"""Azurite for the queue tests, started once."""

import socket
from collections.abc import Iterator

import pytest

from simulator import azurite


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an empty storage emulator."""
    blob, queue, table = _free_ports(3)
    options = azurite.AzuriteOptions(
        blob_port=blob,
        queue_port=queue,
        table_port=table,
        location=tmp_path_factory.mktemp("azurite"),
    )
    with azurite.running(options) as connection_string:
        yield connection_string


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
