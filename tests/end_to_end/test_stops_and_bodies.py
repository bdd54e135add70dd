"""Test over HTTP that a pause stops what was not sent, and that no body is dropped."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from simulator.cloud.options import CloudOptions
from tests.end_to_end.client import FIRMWARE, Api
from tests.end_to_end.hub_side import count_starts, put_faults
from tests.end_to_end.simulated_fleet import connected_fleet
from tests.waiting import eventually

DEVICES = 100


@contextmanager
def slow_methods(options: CloudOptions, prefix: str) -> Iterator[None]:
    """Let each direct method of the devices with this prefix wait for a second."""
    fault = {"action": "delay", "devices": [f"{prefix}*"], "operations": ["method"], "seconds": 1}
    put_faults(options, [fault])
    try:
        yield
    finally:
        put_faults(options, [])


def test_a_pause_stops_the_methods_of_a_batch_that_were_not_sent(api: Api) -> None:
    with connected_fleet(api.options, DEVICES, "--stage-seconds", "0.2", prefix="stalled-") as ids:
        with slow_methods(api.options, "stalled-"):
            created = api.create(*ids)
            path = f"/rollouts/{created['id']}"
            eventually(lambda: api.get(path)["counts"]["updating"] > 0)
            assert api.post(f"{path}/pause", {"by": "ada"})["status"] == "paused"
            time.sleep(4)
        counts = api.get(path)["counts"]
        starts = count_starts(api.options, created["id"])
        assert counts["queued"] > 0
        assert len(starts) == DEVICES - counts["queued"]
        queued = api.get(f"{path}/devices?state=queued&limit=1")["value"][0]
        update = api.device(created["id"], queued["deviceId"])
        assert (update["attempt"], update["dispatchedAt"]) == (1, None)
        assert [step["state"] for step in update["history"]] == ["queued"]
        api.post(f"{path}/resume")
        ended = api.wait_for_end(created)
    assert (ended["status"], ended["counts"]["completed"]) == ("completed", DEVICES)
    assert set(count_starts(api.options, created["id"]).values()) == {1}


def send_in_chunks(api: Api, path: str, body: Any) -> tuple[int, Any]:
    options = api.options
    connection = http.client.HTTPConnection(options.address, options.host_port, timeout=30)
    try:
        parts = [part.encode() for part in json.dumps(body)]
        headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
        connection.request("POST", f"/api{path}", iter(parts), headers, encode_chunked=True)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.usefixtures("fleet")
def test_a_body_in_chunks_is_refused_and_never_taken_for_an_empty_one(api: Api) -> None:
    body = {"firmware": FIRMWARE, "target": {"deviceIds": ["thermostat-1"]}}
    for path in ("/rollouts", "/rollouts/plan", "/rollouts/x/retry", "/rollouts/x/pause"):
        status, problem = send_in_chunks(api, path, body)
        assert (status, problem["status"]) == (411, 411)
        assert "Content-Length" in problem["detail"]


def test_a_compressed_body_is_refused(api: Api) -> None:
    response = api.call("POST", "/rollouts", b"\x1f\x8b", {"Content-Encoding": "gzip"})
    assert (response.status, response.headers["accept-encoding"]) == (415, "identity")
