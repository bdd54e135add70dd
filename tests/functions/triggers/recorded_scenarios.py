"""The recorded scenarios, each in a virtual cloud of its own; here those about creating."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest

from tests.functions.manifests import signed
from tests.functions.triggers.recorded_api import (
    CONDITION_REFUSED,
    HUB_DOWN,
    STORAGE_DOWN,
    Patch,
    RecordedApi,
    device,
    openapi_without_text,
)
from tests.functions.triggers.recorded_bodies import (
    FIRMWARE,
    INVALID,
    INVALID_PLANS,
    SECRET_URI,
    UNKNOWN,
    WHOLE_STRATEGY,
    body,
    with_firmware,
    with_strategy,
)
from tests.functions.triggers.recorded_commands import (
    breach,
    commands,
    commands_refused,
    retry,
    rollback,
)
from tests.functions.triggers.recorded_reads import pages, progress

type Scenario = Callable[[Patch], RecordedApi]


def create(patch: Patch) -> RecordedApi:
    """Create rollouts in every valid way."""
    api = RecordedApi([device(f"d-{number:03}") for number in range(4)], patch)
    api.post("least", "/rollouts", body())
    api.post("whole", "/rollouts?code=key", body("d-001", "d-002", "d-003") | _whole())
    api.post("condition", "/rollouts", body(target={"condition": "tags.site = 'berlin'"}))
    api.post("start in the past", "/rollouts", body(startAt="2020-01-01T00:00:00+01:00"))
    api.post("start ahead", "/rollouts", body("d-002", startAt="2026-12-01T02:00:00Z"))
    api.post("signed manifest", "/rollouts", with_firmware(manifest=signed()))
    api.post("secret URI", "/rollouts", with_firmware(packageUri=SECRET_URI))
    api.get("listed", "/rollouts")
    return api


def _whole() -> dict[str, Any]:
    firmware = FIRMWARE | {"sha256": "AB" * 32, "sizeBytes": 2**40}
    return {"firmware": firmware, "strategy": WHOLE_STRATEGY, "labels": {"build": "1234"}}


def create_invalid(patch: Patch) -> RecordedApi:
    """Send invalid bodies; nothing may be stored."""
    api = RecordedApi([device(f"d-{number:03}") for number in range(2)], patch)
    for name, sent in INVALID.items():
        api.post(name, "/rollouts", sent)
    api.breaks(api.world.hub, "query_matching", CONDITION_REFUSED)
    condition = body(target={"condition": "tags.site ="})
    api.post("condition that the hub refuses", "/rollouts", condition)
    api.post("plan of such a condition", "/rollouts/plan", condition)
    for name in INVALID_PLANS:
        api.post(f"plan: {name}", "/rollouts/plan", INVALID[name])
    api.get("nothing stored", "/rollouts")
    return api


def plan(patch: Patch) -> RecordedApi:
    """Plan rollouts, and create one by its plan's hash."""
    api = RecordedApi([device(f"d-{number:03}") for number in range(12)], patch)
    waves = {"waves": [{"name": "canary", "size": 1}, {"size": "50%", "approval": True}]}
    everyone = body(target={"condition": "tags.a = 1"}, strategy=waves)
    planned = api.post("waves", "/rollouts/plan", everyone)
    api.post("least", "/rollouts/plan", body())
    api.post("limited by the strategy", "/rollouts/plan", with_strategy(maxInFlight=1))
    api.post("create by plan", "/rollouts", everyone | {"planHash": planned["planHash"]})
    api.post("conflicts", "/rollouts/plan", body("d-001", "d-002"))
    api.post("outdated plan", "/rollouts", everyone | {"planHash": planned["planHash"]})
    api.post("foreign plan", "/rollouts", body(planHash="x"))
    return api


def idempotency(patch: Patch) -> RecordedApi:
    """Repeat a create with the same key."""
    api = RecordedApi([device("d-000")], patch)
    api.post("first", "/rollouts", body(labels={"a": "b", "c": "d"}), idempotency_key="k")
    api.world.ticks(1)
    repeated = body(labels={"c": "d", "a": "b"})
    api.post("repeat", "/rollouts", repeated, idempotency_key="k")
    api.post("other body", "/rollouts", body(), idempotency_key="k")
    api.post("other key", "/rollouts", body(), Idempotency_Key="other")
    api.post("empty key", "/rollouts", body(), idempotency_key="")
    api.post("key too long", "/rollouts", body(), idempotency_key="x" * 256)
    api.post("invalid body", "/rollouts", b"{", idempotency_key="new")
    return api


def unknown(patch: Patch) -> RecordedApi:
    """Read what does not exist, and for the app itself."""
    api = RecordedApi([device("d-000"), device("d-001")], patch)
    created = api.post("create", "/rollouts", body())
    for name in ("", "/devices", "/devices/d-000", "/events"):
        api.get(f"rollout: {name}", f"{UNKNOWN}{name}")
        api.get(f"malformed id: {name}", f"/rollouts/nowhere{name}")
    api.get("device of another rollout", f"/rollouts/{created['id']}/devices/d-001")
    api.get("device without history", "/devices/unregistered/rollouts")
    api.get("no route", "/nowhere")
    api.get("no route under a rollout", f"/rollouts/{created['id']}/nothing")
    for method in ("DELETE", "PUT", "PATCH"):
        api.send(f"{method} of a rollout", method, f"/rollouts/{created['id']}")
    api.get("plan is no rollout", "/rollouts/plan")
    api.get("health before any call", "/health")
    api.get("readiness", "/health/ready")
    api.send("OPTIONS of the list", "OPTIONS", "/rollouts")
    api.send("HEAD of a rollout", "HEAD", f"/rollouts/{created['id']}")
    return api


def unavailable(patch: Patch) -> RecordedApi:
    """Send requests while the hub, then the storage, cannot be reached."""
    api = RecordedApi([device("d-000")], patch)
    created = api.post("create", "/rollouts", body())
    for method in ("ping", "read_twins", "query_devices", "query_twins"):
        api.breaks(api.world.hub, method, HUB_DOWN)
    api.get("readiness without hub", "/health/ready")
    api.last_calls.tables.record(responded=True)
    api.last_calls.hub.record(responded=False)
    api.get("health without hub", "/health")
    api.post("create without hub", "/rollouts", body())
    api.post("plan without hub", "/rollouts/plan", body())
    stores = api.world.stores
    for port, method in (
        (stores, "ping"),
        (stores.rollouts, "get"),
        (stores.rollouts, "list_rollouts"),
        (stores.targets, "list_history"),
    ):
        api.breaks(port, method, STORAGE_DOWN)
    api.get("readiness without both", "/health/ready")
    api.get("list without storage", "/rollouts")
    api.get("rollout without storage", f"/rollouts/{created['id']}")
    api.get("history without storage", "/devices/d-000/rollouts")
    api.post("pause without storage", f"/rollouts/{created['id']}/pause")
    return api


SCENARIOS: Mapping[str, Scenario] = {
    function.__name__: function
    for function in (
        create,
        create_invalid,
        plan,
        idempotency,
        progress,
        pages,
        commands,
        commands_refused,
        retry,
        rollback,
        breach,
        unknown,
        unavailable,
    )
}


@cache
def responses(name: str) -> Mapping[str, Any]:
    """Run a scenario; return requests and responses by the names of the requests."""
    with pytest.MonkeyPatch.context() as patch:
        return SCENARIOS[name](patch).responses


@cache
def openapi() -> Any:
    """Return the API's own description, without its text for people."""
    with pytest.MonkeyPatch.context() as patch:
        return openapi_without_text(RecordedApi([], patch).get("openapi", "/openapi.json"))
