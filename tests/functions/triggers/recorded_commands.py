"""Recorded scenarios with commands, allowed and refused."""

import json
from typing import Any

from tests.functions.triggers.recorded_api import (
    FAILING,
    Patch,
    RecordedApi,
    device,
    rejecting_device,
)
from tests.functions.triggers.recorded_bodies import INVALID_COMMANDS, SECRET_URI, UNKNOWN, body

OLD_URI = "https://packages.example/fw.bin?sig=b2xk"
COMMANDS = ("pause", "resume", "cancel", "approve", "retry", "rollback")
INVALID_RETRIES = {
    "relative package URI": {"packageUri": "fw.bin"},
    "package URI of a wrong type": {"packageUri": 7},
    "package URI misspelled": {"packageUrl": SECRET_URI},
}


def commands(patch: Patch) -> RecordedApi:
    """Send every command where it is allowed."""
    api = RecordedApi([device(f"d-{number:03}") for number in range(3)], patch)
    waves = {"waves": [{"size": 1}, {"name": "rest", "size": 2, "approval": True}]}
    created = api.post("create", "/rollouts", body("d-000", "d-001", "d-002", strategy=waves))
    path = f"/rollouts/{created['id']}"
    api.post("pause", f"{path}/pause", {"by": "ada", "reason": "lunch"})
    api.get("paused", "/rollouts?status=paused")
    api.post("resume", f"{path}/resume", x_ms_client_principal_name="grace@example.com")
    api.world.ticks(8)
    api.get("waits for approval", path)
    change = {
        "strategy": {"maxInFlight": 1, "failureGate": {"unacceptable": "5%"}},
        "reason": "why",
    }
    api.send("change", "PATCH", path, json.dumps(change).encode(), If_Match="*")
    api.send("stale change", "PATCH", path, json.dumps(change).encode(), If_Match='"1"')
    api.send("change without a reason", "PATCH", path, b'{"strategy": {"maxInFlight": 2}}')
    change = {"strategy": {"retry": {"attempts": 9}}, "reason": "why"}
    api.send("change of the retry", "PATCH", path, json.dumps(change).encode())
    api.get("device waits for approval", f"{path}/devices?state=queued")
    api.post("approve", f"{path}/approve", {"by": "ada"}, x_ms_client_principal_name="grace")
    api.world.ticks(1)
    api.post("cancel", f"{path}/cancel", b" ")
    api.get("events", f"{path}/events")
    api.world.until_over(created["id"])
    api.get("cancelled", path)
    ahead = api.post("create ahead", "/rollouts", body(startAt="2026-12-01T02:00:00Z"))
    api.get("scheduled", f"/rollouts/{ahead['id']}")
    api.get("scheduled device", f"/rollouts/{ahead['id']}/devices/d-000")
    api.post("cancel ahead", f"/rollouts/{ahead['id']}/cancel")
    return api


def commands_refused(patch: Patch) -> RecordedApi:
    """Send commands that are not allowed, of no rollout, or with an invalid body."""
    api = RecordedApi([device("d-000")], patch)
    created = api.post("create", "/rollouts", body())
    path = f"/rollouts/{created['id']}"
    for command in ("resume", "approve", "retry", "rollback"):
        api.post(f"{command} while running", f"{path}/{command}")
    for name, sent in INVALID_COMMANDS.items():
        api.post(f"pause: {name}", f"{path}/pause", sent)
    for name, sent in INVALID_RETRIES.items():
        api.post(f"retry: {name}", f"{path}/retry", sent)
    api.world.until_over(created["id"])
    for command in COMMANDS[:-1]:
        api.post(f"{command} when completed", f"{path}/{command}")
    for command in COMMANDS:
        api.post(f"{command} of no rollout", f"{UNKNOWN}/{command}")
    api.get("events", f"{path}/events")
    return api


def retry(patch: Patch) -> RecordedApi:
    """Retry rejected devices with a package that has moved."""
    api = RecordedApi([rejecting_device(f"d-{number:03}", OLD_URI) for number in range(2)], patch)
    sent = body("d-000", "d-001", firmware={"version": "2.4.0", "packageUri": OLD_URI})
    created = api.post("rejected", "/rollouts", sent)
    path = f"/rollouts/{created['id']}"
    api.get("failed", path)
    api.get("failed device", f"{path}/devices/d-000")
    api.post("retry", f"{path}/retry", {"packageUri": SECRET_URI, "by": "ada", "reason": "expired"})
    api.get("retried device", f"{path}/devices/d-000")
    api.world.until_over(created["id"])
    api.get("over", path)
    api.get("events", f"{path}/events")
    api.get("device", f"{path}/devices/d-000")
    return api


def rollback(patch: Patch) -> RecordedApi:
    """Roll a completed rollout back."""
    api = RecordedApi([device("d-000"), device("d-001")], patch)
    for version in ("2.0.0", "2.1.0"):
        created = api.post(version, "/rollouts", body("d-000", "d-001") | _version(version))
        api.world.until_over(created["id"])
    path = f"/rollouts/{created['id']}"
    back = api.post("rollback", f"{path}/rollback", {"by": "ada", "reason": "too hot"})
    api.post("rollback again", f"{path}/rollback")
    api.get("rolled back", path)
    api.world.until_over(back["id"])
    api.get("rollback over", f"/rollouts/{back['id']}")
    api.get("rollback's devices", f"/rollouts/{back['id']}/devices")
    api.get("rollback's events", f"/rollouts/{back['id']}/events")
    api.get("events", f"{path}/events")
    api.get("history", "/devices/d-000/rollouts")
    return api


def breach(patch: Patch) -> RecordedApi:
    """Let waves end with failed devices, for each reaction to a breach."""
    fleet = [device("d-000"), device("d-001")]
    fleet += [device(name, fault=FAILING) for name in ("x", "y")]
    api = RecordedApi(fleet, patch)
    first = api.post("first", "/rollouts", body("d-000", "d-001") | _version("1.9.0"))
    api.world.until_over(first["id"])
    for number, reaction in enumerate(("pause", "cancel", "rollback")):
        gate = {"acceptable": "50%", "unacceptable": "99%"} if reaction == "rollback" else {}
        strategy = {"waves": [{"size": 3}], "failureGate": gate | {"onBreach": reaction}}
        sent = body("d-000", "d-001", "x", "y", strategy=strategy) | _version(f"2.0.{number}")
        created = api.post(f"create to {reaction}", "/rollouts", sent)
        api.world.ticks(20)
        path = f"/rollouts/{created['id']}"
        api.get(reaction, path)
        api.get(f"devices after {reaction}", f"{path}/devices")
        if reaction == "pause":
            api.post("resume", f"{path}/resume", {"by": "ada"})
            api.world.until_over(created["id"])
        api.get(f"events after {reaction}", f"{path}/events")
    api.get("all", "/rollouts")
    return api


def _version(version: str) -> dict[str, Any]:
    uri = f"https://packages.example/{version}.bin"
    return {"firmware": {"version": version, "packageUri": uri}}
