"""Recorded scenarios that read: a rollout in progress, and pages of every list."""

from typing import Any

from tests.functions.triggers.recorded_api import (
    FAILING,
    HANGING,
    REVERTING,
    Patch,
    RecordedApi,
    device,
)
from tests.functions.triggers.recorded_bodies import body


def progress(patch: Patch) -> RecordedApi:
    """Read a rollout of all kinds of devices while it goes on, and once it is over."""
    fleet = [device(f"d-{number:03}") for number in range(19)]
    fleet += [device("fails", fault=FAILING), device("hangs", fault=HANGING)]
    fleet += [device("reverts", fault=REVERTING), device("a#b%c", online=False)]
    api = RecordedApi(fleet, patch)
    rollout = api.post("create", "/rollouts", body(*api.world.hub.devices, strategy=_waves()))
    path = f"/rollouts/{rollout['id']}"
    for number in range(1, 4):
        _read(api, path, f"at {number}", "queued", "downloading", "soaking")
        api.world.ticks(2)
    api.world.until_over(rollout["id"], 1000)
    _read(api, path, "over", "completed", "failed", "skipped")
    for device_id in ("d-000", "fails", "hangs", "reverts", "a%23b%25c"):
        api.get(f"device {device_id}", f"{path}/devices/{device_id}")
        api.get(f"history of {device_id}", f"/devices/{device_id}/rollouts")
    api.get("waited for", f"{path}?waitSeconds=60")
    return api


def _waves() -> dict[str, Any]:
    return {
        "waves": [{"name": "canary", "size": 2}, {"size": "50%"}],
        "successShare": "50%",
        "failureGate": {"acceptable": "50%", "unacceptable": "99%"},
        "soak": "PT15S",
        "timeout": "PT2M",
        "retry": {"attempts": 2, "initialDelay": "PT5S"},
        "offline": {"deadline": "PT10M"},
    }


def _read(api: RecordedApi, path: str, when: str, *states: str) -> None:
    api.get(f"rollout {when}", path)
    for state in states:
        api.get(f"{state} {when}", f"{path}/devices?state={state}&limit=3")


def pages(patch: Patch) -> RecordedApi:
    """Read pages through every list, and request pages that are invalid."""
    api = RecordedApi([device(f"d-{number:03}") for number in range(23)], patch)
    rollout = api.post("large", "/rollouts", body(*api.world.hub.devices))
    path = f"/rollouts/{rollout['id']}"
    api.world.until_over(rollout["id"])
    again = {"whenAlreadyRunning": "reinstall"}
    for number in range(3):
        api.post(f"small {number}", "/rollouts", body("d-000", strategy=again))
    _page_through(api, "devices", f"{path}/devices?limit=10&state=completed")
    _page_through(api, "events", f"{path}/events?limit=2")
    _page_through(api, "rollouts", "/rollouts?limit=2")
    _page_through(api, "running rollouts", "/rollouts?limit=1&status=running")
    _page_through(api, "history", "/devices/d-000/rollouts?limit=2")
    for bad in ("limit=0", "limit=101", "limit=x", "limit=1.5", "cursor=foreign"):
        for name in ("/rollouts", f"{path}/devices", f"{path}/events", "/devices/d-000/rollouts"):
            api.get(f"{name.replace(path, '/rollouts/id')}?{bad}", f"{name}?{bad}")
    api.get("unknown status", "/rollouts?status=Running")
    api.get("unknown state", f"{path}/devices?state=updating")
    api.get("empty parameters", "/rollouts?status=&limit=&cursor=")
    for wait in ("-1", "61", "x"):
        api.get(f"wait {wait}", f"{path}?waitSeconds={wait}")
    return api


def _page_through(api: RecordedApi, name: str, path: str) -> None:
    number, page = 1, api.get(f"{name}, page 1", path)
    while "nextLink" in page:
        number += 1
        _, _, path = page["nextLink"].partition("/api")
        page = api.get(f"{name}, page {number}", path)
