"""Storage fails now and then while two hosts work on one rollout."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from simulator.cloud.local_cloud import run_cloud
from simulator.storage_proxy.faults import StorageFault
from tests.bench.slow_storage import read_counts, slow_storage
from tests.end_to_end.checks import check_counters
from tests.end_to_end.client import FIRMWARE, Api, Response
from tests.end_to_end.conftest import make_options
from tests.end_to_end.hub_side import count_starts
from tests.end_to_end.processes import second_host
from tests.end_to_end.simulated_fleet import connected_fleet
from tests.waiting import eventually

DEVICES = 300
MIN_FAULTS = 10
FAULT_SHARE = 0.05


class PatientApi(Api):
    """A client that repeats a request while storage fails."""

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        def send() -> Response | None:
            response = super(PatientApi, self).call(method, path, body, headers)
            return None if response.status == HTTPStatus.SERVICE_UNAVAILABLE else response

        response = eventually(send)
        assert response is not None
        return response


def test_a_rollout_completes_although_storage_fails_now_and_then(tmp_path: Path) -> None:
    """503, 500 before and after the work was done, dropped responses, and early page ends."""
    options = make_options(tmp_path)
    proxy = slow_storage(options.address, seconds=0.0, fault_share=FAULT_SHARE)
    options = replace(options, throttle_scale=100, storage_proxy=proxy)
    with (
        run_cloud(options) as cloud,
        second_host(cloud),
        connected_fleet(options, DEVICES, "--stage-seconds", "0.2") as ids,
    ):
        api = PatientApi(options)
        body = {"firmware": FIRMWARE, "target": {"deviceIds": ids}}
        key = {"Idempotency-Key": "once"}
        created = api.call("POST", "/rollouts", body, key)
        assert created.status in {HTTPStatus.CREATED, HTTPStatus.OK}, created
        ended = api.wait_for_end(created.json)
        assert ended["status"] == "completed", ended
        counted = check_counters(api, ended["id"])
        starts = count_starts(options, ended["id"])
        struck = read_counts(options)
    assert counted["completed"] == counted["total"] == DEVICES
    # Each device was updated once, by its first attempt.
    assert starts == {(device_id, 1): 1 for device_id in ids}
    # Which kinds struck is chance; of some, few requests can be struck.
    assert sum(struck[f"fault {fault}"] for fault in StorageFault) >= MIN_FAULTS, struck
