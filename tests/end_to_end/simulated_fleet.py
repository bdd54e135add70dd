"""Runs a simulated fleet in a process of its own, connected to a test's cloud."""

from collections.abc import Iterator
from contextlib import contextmanager

from simulator.cloud.options import CloudOptions
from tests.bench.processes import program
from tests.end_to_end.hub_side import metrics
from tests.waiting import eventually

CONNECT_SECONDS = 60


@contextmanager
def connected_fleet(
    options: CloudOptions, devices: int, *arguments: str, prefix: str = "light-"
) -> Iterator[list[str]]:
    """Connect `devices` devices for the length of the block; yield their ids.

    `arguments` are further options of `python -m simulator fleet`. A later call may connect the
    same devices again: their twins keep what they run.
    """
    command = [
        *("simulator", "fleet", "--devices", str(devices), "--prefix", prefix),
        *("--connection-string", options.service_connection_string),
        *("--mqtt-port", str(options.hub_mqtt_port), "--ca", str(options.ca), *arguments),
    ]
    before = metrics(options)["connectedDevices"]
    with program(*command, quiet=True):
        eventually(
            lambda: metrics(options)["connectedDevices"] >= before + devices,
            seconds=CONNECT_SECONDS,
        )
        yield [f"{prefix}{number}" for number in range(1, devices + 1)]
    eventually(lambda: metrics(options)["connectedDevices"] <= before, seconds=CONNECT_SECONDS)
