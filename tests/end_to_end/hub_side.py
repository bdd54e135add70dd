"""Reads the local hub's counters, and what the devices reported to it."""

import http.client
import json
import ssl
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator.cloud.options import CloudOptions


def metrics(options: CloudOptions) -> Any:
    """Return the hub's own counters."""
    return _local(options, "metrics")


def methods(options: CloudOptions) -> int:
    """Return the number of direct methods that the hub received, also for offline devices."""
    return int(metrics(options)["operations"]["method"])


def count_starts(options: CloudOptions, rollout_id: str) -> Counter[tuple[str, int]]:
    """Count how often each device started each attempt, by its reports of `downloading`."""
    return Counter(
        (device_id, update["attempt"])
        for device_id, patch in _reports(options)
        if patch.get("firmwareStatus") == "downloading"
        and (update := patch.get("firmwareUpdate") or {}).get("rolloutId") == rollout_id
    )


def last_versions(options: CloudOptions) -> dict[str, str]:
    """Return the version that each device reported last."""
    return {
        device_id: patch["firmwareVersion"]
        for device_id, patch in _reports(options)
        if "firmwareVersion" in patch
    }


def _reports(options: CloudOptions) -> Iterator[tuple[str, Any]]:
    """Yield every patch of reported properties since the hub's start, in order."""
    cursor, page = "0", None
    while page is None or page["value"]:
        page = _local(options, f"events?limit=1000&cursor={cursor}")
        assert page["dropped"] == 0
        cursor = page["cursor"]
        for event in page["value"]:
            if event["type"] == "twinChange" and event["by"] == "device":
                yield event["deviceId"], event["patch"]


def put_faults(options: CloudOptions, faults: Sequence[Mapping[str, Any]]) -> list[int]:
    """Replace the hub's fault plan. Return how often each fault of the earlier plan has struck."""
    before = _local(options, "faults")
    _local(options, "faults", {"faults": list(faults)})
    return [fault["struck"] for fault in before["faults"]]


def _local(options: CloudOptions, path: str, new: Mapping[str, Any] | None = None) -> Any:
    """Read one of the hub's own resources, or replace it by `new`."""
    context = ssl.create_default_context(cafile=options.ca)
    connection = http.client.HTTPSConnection(
        options.address, options.hub_https_port, timeout=30, context=context
    )
    try:
        verb, body = ("GET", None) if new is None else ("PUT", json.dumps(new))
        connection.request(verb, f"/_local/{path}", body)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
