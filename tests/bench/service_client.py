"""Call the service API without the SDK: http.client, a SAS token, one kept connection."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from simulator.simulated_fleet.hub_address import HubAddress
from simulator.simulated_fleet.sas import token
from tests.bench.processes import Hub

CLIENTS = 8
_TIMEOUT_SECONDS = 60
_TOKEN_SECONDS = 3600
_VERSION = "?api-version=2021-04-12"

type Call = Callable[[int], Any]


class ServiceClient:
    """One connection, for one thread."""

    def __init__(self, hub: Hub, port: int | None = None) -> None:
        """Connect to the hub, or to another endpoint with the same certificate on `port`."""
        address = HubAddress.parse(hub.connection_string)
        expiry = int(time.time()) + _TOKEN_SECONDS
        self._headers = {
            "Authorization": token(address.host, address.key, expiry, address.policy),
            "Content-Type": "application/json",
        }
        self._connection = http.client.HTTPSConnection(
            address.host,
            port or hub.https_port,
            timeout=_TIMEOUT_SECONDS,
            context=ssl.create_default_context(cafile=hub.certificates / "ca.pem"),
        )

    def request(self, method: str, path: str, body: object = None, **headers: str) -> bytes:
        """Return the response body. Raises RuntimeError unless the status is 200."""
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path + _VERSION, text, self._headers | headers)
        response = self._connection.getresponse()
        data = response.read()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{method} {path}: {response.status} {data[:200]!r}")
        return data


def rate(make_call: Callable[[], Call], calls: int, warm_up: int = 100) -> float:
    """Return calls per second by CLIENTS threads, each with a call from `make_call`."""
    local = threading.local()

    def one(number: int) -> None:
        if not hasattr(local, "call"):
            local.call = make_call()
        local.call(number)

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(one, range(warm_up)))
        begun = time.perf_counter()
        list(threads.map(one, range(calls)))
        return calls / (time.perf_counter() - begun)
