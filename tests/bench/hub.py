"""Compare the local hub with 5,000 simulated devices to an aiohttp endpoint that does no work.

Hub, fleet and clients share this machine, each in a process of its own; rates are wall clock.
"""

import json
import time
from collections.abc import Iterator

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from tests.bench.figures import Figure
from tests.bench.processes import Hub, bare_endpoint, fleet, hub
from tests.bench.service_client import CLIENTS, Call, ServiceClient, rate
from tests.waiting import eventually

DEVICES = 5_000
CALLS = 5_000
SDK_CALLS = 1_000
CONNECT_SECONDS = 180.0
TWINS = 100_000
IN_A_REQUEST = 100
SITES = 1_000
CONDITION = "tags.site = 'site-7' AND status = 'enabled'"
PAYLOAD = {"fwPackageUri": "https://packages.example/fw.bin", "version": "2.4.0"}


def run() -> Iterator[Figure]:
    with hub() as measured:
        empty = measured.megabytes
        with fleet(measured, DEVICES) as devices:
            yield Figure(
                name=f"connects, of {DEVICES} devices", value=_connects(measured), unit="/s"
            )
            full, own = measured.megabytes, devices.memory_info().rss / 1e6
            yield Figure(name=f"hub with {DEVICES} devices, RSS", value=full, unit="MB")
            per_device = (full - empty) * 1e3 / DEVICES
            yield Figure(name="hub, for each device", value=per_device, unit="KB")
            yield Figure(name=f"fleet of {DEVICES} devices, RSS", value=own, unit="MB")
            yield from _rates(measured)
    with hub() as measured:
        yield _query(measured)


def _connects(measured: Hub) -> float:
    """Return connections per second, from the first to the last, as the hub counts them."""
    client = ServiceClient(measured)

    def connected() -> int:
        return int(json.loads(client.request("GET", "/_local/metrics"))["connectedDevices"])

    eventually(lambda: connected() > 0, what="the first device", seconds=CONNECT_SECONDS)
    begun = time.perf_counter()
    first = connected()
    eventually(lambda: connected() == DEVICES, what="all devices", seconds=CONNECT_SECONDS)
    return (DEVICES - first) / (time.perf_counter() - begun)


def _rates(measured: Hub) -> Iterator[Figure]:
    twin = ServiceClient(measured).request("GET", "/twins/light-1")
    with bare_endpoint(measured, len(twin)) as port:
        bare = rate(lambda: _twin_reads(measured, port), CALLS)
        reads = rate(lambda: _twin_reads(measured), CALLS)
        again = rate(lambda: _twin_reads(measured, port), CALLS)
    methods = rate(lambda: _methods(measured), CALLS)
    # The mean of before and after, because the speed of a machine drifts.
    name = f"bare aiohttp endpoint, {CLIENTS} clients"
    endpoint = Figure(name=name, value=(bare + again) / 2, unit="/s")
    yield endpoint
    yield Figure(name="twin reads", value=reads, unit="/s", base=endpoint)
    round_trips = Figure(name="method round trips", value=methods, unit="/s", base=endpoint)
    yield round_trips
    sdk = rate(lambda: _sdk_methods(measured), SDK_CALLS)
    name = "method round trips, service SDK, keep-alive"
    yield Figure(name=name, value=sdk, unit="/s", base=round_trips)


def _twin_reads(measured: Hub, port: int | None = None) -> Call:
    client = ServiceClient(measured, port)
    return lambda number: client.request("GET", f"/twins/{_device(number)}")


def _methods(measured: Hub) -> Call:
    """Invoke a method that no device implements: the response is 501, and nothing starts."""
    client = ServiceClient(measured)
    body = {"methodName": "unknown", "payload": PAYLOAD, "responseTimeoutInSeconds": 30}
    return lambda number: client.request("POST", f"/twins/{_device(number)}/methods", body)


def _sdk_methods(measured: Hub) -> Call:
    registry = IoTHubRegistryManager.from_connection_string(measured.connection_string)
    registry.protocol.config.connection.verify = str(measured.certificates / "ca.pem")
    registry.protocol.config.keep_alive = True
    request = CloudToDeviceMethod(
        method_name="unknown", payload=PAYLOAD, response_timeout_in_seconds=30
    )
    return lambda number: registry.invoke_device_method(_device(number), request)


def _device(number: int) -> str:
    return f"light-{number % DEVICES + 1}"


def _query(measured: Hub) -> Figure:
    """Measure a query over HTTPS that finds one twin in a thousand; the best of three."""
    client = ServiceClient(measured)
    for begin in range(0, TWINS, IN_A_REQUEST):
        items = [
            {
                "id": f"twin-{number}",
                "importMode": "create",
                "tags": {"site": f"site-{number % SITES}", "model": "a"},
            }
            for number in range(begin, begin + IN_A_REQUEST)
        ]
        client.request("POST", "/devices", items)
    query = {"query": f"SELECT * FROM devices WHERE {CONDITION}"}  # noqa: S608  not SQL
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        found = json.loads(client.request("POST", "/devices/query", query))
        best = min(best, time.perf_counter() - begun)
    if len(found) != TWINS // SITES:
        raise RuntimeError(f"the query found {len(found)} twins, not {TWINS // SITES}")
    return Figure(name=f"a condition over {TWINS} twins, 1 in {SITES} found", value=best, unit="s")
