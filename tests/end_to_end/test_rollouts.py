"""The contract, through HTTP, the Functions host, Azurite, the hub and devices."""

import json
import logging
import threading
import time
from datetime import datetime
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from device_agent.dialect import TUTORIAL
from functions.rollout_store.table_storage import keys
from simulator.cloud.local_cloud import LocalCloud
from simulator.simulated_device.simulated_updates import failure_at
from tests.end_to_end.client import FIRMWARE, Api
from tests.end_to_end.fleet import Fleet
from tests.waiting import eventually

STAGES = ["queued", "dispatching", "accepted", "downloading", "applying", "completed"]
ODD_IDS = ["a#b", "a?b", "a%2Fb", "it's", "x" * 128]


def wait(api: Api, rollout: Any, seconds: int = 30) -> Any:
    return api.get(f"/rollouts/{rollout['id']}?waitSeconds={seconds}")


def list_history_states(update: Any) -> list[str]:
    return [step["state"] for step in update["history"]]


def test_a_rollout_from_post_to_completion(
    api: Api, fleet: Fleet, shared_cloud: LocalCloud
) -> None:
    fleet.start("story-1")
    fleet.start("story-2")
    created = api.create("story-1", "story-2")
    assert created["status"] == "running"
    assert [device["deviceId"] for device in created["devices"]] == ["story-1", "story-2"]
    for device in created["devices"]:
        assert device["method"] == {
            "status": 200,
            "payload": {"Response": "Firmware update started"},
        }

    ended = wait(api, created)
    assert ended["status"] == "completed"
    assert ended["counts"]["completed"] == 2
    assert ended["waves"][0]["status"] == "completed"

    listed = api.get("/rollouts?status=completed&limit=1")
    assert listed["value"][0]["id"] == created["id"]

    update = api.device(created["id"], "story-1")
    assert list_history_states(update) == STAGES
    times = [datetime.fromisoformat(step["at"]) for step in update["history"]]
    assert times == sorted(times)
    assert update["previousVersion"] == "1.0.0"

    page = api.get("/devices/story-1/rollouts")
    assert [entry["rolloutId"] for entry in page["value"]] == [created["id"]]

    storage = shared_cloud.options.azurite.connection_string
    table = TableServiceClient.from_connection_string(storage).get_table_client(keys.TABLE)
    row = table.get_entity(keys.rollout_partition(created["id"]), keys.ROLLOUT_ROW)
    assert row["status"] == "completed"
    assert row["hasCompleted"] is True
    assert '"id":"story-1"' in row["updates0"]


def test_a_request_that_waits_gets_its_response_as_soon_as_the_rollout_ends(
    api: Api, fleet: Fleet
) -> None:
    fleet.start("awaited", stage_seconds=1)
    created = api.create("awaited")
    started = time.monotonic()
    still = api.get(f"/rollouts/{created['id']}?waitSeconds=1")
    assert 0.9 < time.monotonic() - started < 3
    assert still["status"] == "running"
    assert wait(api, created, 60)["status"] == "completed"
    assert time.monotonic() - started < 30


def test_two_updates_of_a_device_of_the_tutorial_are_told_apart(api: Api, fleet: Fleet) -> None:
    """Check that the second update does not end with the `completed` of the first."""
    fleet.start("old-timer", stage_seconds=1, dialect=TUTORIAL)
    for _ in range(2):
        created = api.create("old-timer")
        seen: list[str] = []

        def read(rollout_id: str = created["id"], seen: list[str] = seen) -> bool:
            state = api.device(rollout_id, "old-timer")["state"]
            if not seen or seen[-1] != state:
                seen.append(state)
            return state in {"completed", "failed"}

        eventually(read)
        assert seen == [state for state in STAGES if state in seen]
        assert seen[-1] == "completed"
        assert list_history_states(api.device(created["id"], "old-timer")) == STAGES
    assert len(api.get("/devices/old-timer/rollouts")["value"]) == 2


def test_devices_that_the_request_does_not_start_are_started_through_the_queue(
    api: Api, fleet: Fleet
) -> None:
    names = [f"queued-{n}" for n in range(12)]
    for name in names:
        fleet.start(name)
    created = api.create(*names)
    assert "devices" not in created
    ended = wait(api, created, 60)
    assert ended["counts"]["completed"] == 12
    first = api.get(f"/rollouts/{created['id']}/devices?limit=5")
    assert len(first["value"]) == 5
    path = first["nextLink"].split("/api", 1)[1]
    rest = api.get(path)["value"]
    seen = {item["deviceId"] for item in first["value"] + rest}
    assert len(seen) == 10
    assert seen < set(names)
    assert api.get(f"/rollouts/{created['id']}/devices?state=failed")["value"] == []


def test_links_do_not_contain_the_key_of_the_query(api: Api, fleet: Fleet) -> None:
    for device_id in ("keyed-1", "keyed-2"):
        fleet.start(device_id)
    raw = body(target={"deviceIds": ["keyed-1", "keyed-2"]})
    response = api.call("POST", "/rollouts?code=c2VjcmV0", raw)
    assert response.status == 201
    assert response.headers["location"].endswith(f"/api/rollouts/{response.json['id']}")
    page = api.call("GET", f"/rollouts/{response.json['id']}/devices?limit=1&code=c2VjcmV0")
    assert "nextLink" in page.json
    assert "c2VjcmV0" not in page.text + str(response.headers)


def test_a_failure_has_the_text_that_the_device_reported(api: Api, fleet: Fleet) -> None:
    fleet.start("unlucky", failure=failure_at("applying", "flashWriteError"))
    created = api.create("unlucky")
    ended = wait(api, created)
    assert ended["status"] == "failed"
    assert "0 of 1" in ended["statusReason"]["message"]
    update = api.device(created["id"], "unlucky")
    assert update["error"]["code"] == "reported"
    assert "flashWriteError" in update["error"]["message"]
    assert update["explanation"] == update["error"]["message"]


def test_a_device_that_does_not_finish_times_out_after_the_timeout(api: Api, fleet: Fleet) -> None:
    fleet.start("slow", stage_seconds=30)
    created = api.create("slow", timeout="PT6S", retry={"attempts": 1})
    ended = wait(api, created)
    update = api.device(created["id"], "slow")
    assert ended["status"] == "failed"
    assert update["error"]["code"] == "timedOut"
    accepted = next(step for step in update["history"] if step["state"] == "accepted")
    took = datetime.fromisoformat(update["endedAt"]) - datetime.fromisoformat(accepted["at"])
    assert 6 <= took.total_seconds() < 15


def test_an_offline_device_completes_after_it_reconnects(api: Api, fleet: Fleet) -> None:
    fleet.register("sleeper")
    created = api.create("sleeper")
    assert created["devices"][0]["state"] == "queued"
    assert created["devices"][0]["method"] is None
    eventually(lambda: "Offline since" in api.device(created["id"], "sleeper")["explanation"])
    fleet.start("sleeper")
    assert wait(api, created)["status"] == "completed"


def test_devices_whose_ids_have_unusual_characters_are_updated(api: Api, fleet: Fleet) -> None:
    for device_id in ODD_IDS:
        fleet.start(device_id)
    created = api.create(*ODD_IDS)
    assert wait(api, created)["counts"]["completed"] == len(ODD_IDS)
    for device_id in ODD_IDS:
        assert api.device(created["id"], device_id)["deviceId"] == device_id


# -- refusals --------------------------------------------------------------------------------


def body(**changes: Any) -> bytes:
    full = {"firmware": FIRMWARE, "target": {"deviceIds": ["known"]}} | changes
    return json.dumps(full).encode()


REFUSALS: list[tuple[str, bytes, int]] = [
    ("empty", b"", 400),
    ("not JSON", b"{nonsense", 400),
    ("not UTF-8", b'{"a": "\xff"}', 400),
    ("deep JSON", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
    ("deep but small", b"[" * 5000 + b"]" * 5000, 400),
    ("seventeen megabytes", body(labels={"a": "x" * 17_000_000}), 413),
    ("a list", b"[]", 422),
    ("no target", json.dumps({"firmware": FIRMWARE}).encode(), 422),
    ("empty target", body(target={"deviceIds": []}), 422),
    ("unknown field", body(hurry=True), 422),
    ("wrong type", body(firmware=FIRMWARE | {"version": 2}), 422),
    ("relative URI", body(firmware=FIRMWARE | {"packageUri": "test.com"}), 422),
    ("no host", body(firmware=FIRMWARE | {"packageUri": "https:///fw.bin"}), 422),
    ("duplicate ids", body(target={"deviceIds": ["known", "known"]}), 422),
    ("malformed id", body(target={"deviceIds": ["a/b"]}), 422),
    ("129 characters", body(target={"deviceIds": ["x" * 129]}), 422),
    ("unknown id", body(target={"deviceIds": ["known", "ghost"]}), 422),
    ("waves that exceed the target", body(strategy={"waves": [{"size": 5}]}), 422),
]


@pytest.mark.parametrize(("raw", "status"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_an_invalid_request_is_refused_with_its_reason_and_stores_nothing(
    api: Api, fleet: Fleet, raw: bytes, status: int
) -> None:
    if api.call("POST", "/rollouts", body()).status == 422:
        fleet.register("known")
    before = _stored_ids(api)
    response = api.call("POST", "/rollouts", raw, {"Idempotency-Key": "refused"})
    assert response.status == status, response
    assert response.headers["content-type"].startswith("application/problem+json")
    assert response.json["status"] == status
    assert response.json["detail"]
    assert _stored_ids(api) == before


def _stored_ids(api: Api) -> tuple[list[str], list[str]]:
    """Return the ids of the device's rollouts and of the newest one; the timer changes the rest."""
    of_device = api.get("/devices/known/rollouts")["value"]
    newest = api.get("/rollouts?limit=1")["value"]
    return [item["rolloutId"] for item in of_device], [item["id"] for item in newest]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rollouts/nothing", 404),
        ("/rollouts/nothing/devices", 404),
        ("/rollouts/%27%20or%20true", 404),
        ("/rollouts/nothing?waitSeconds=1", 404),
        ("/rollouts/nothing?waitSeconds=61", 422),
        ("/rollouts?limit=0", 422),
        ("/rollouts?limit=ten", 422),
        ("/rollouts?limit=%C2%B2", 422),
        ("/rollouts?status=unheard", 422),
        ("/rollouts?cursor=nonsense", 422),
        ("/devices/%27/rollouts", 200),
        ("/devices/a%2Fb/rollouts", 200),
        ("/devices/%FF/rollouts", 200),
    ],
)
def test_an_invalid_path_or_query_has_this_status(api: Api, path: str, status: int) -> None:
    response = api.call("GET", path)
    assert response.status == status, response
    if status != 200:
        assert response.headers["content-type"].startswith("application/problem+json")


# -- idempotency -----------------------------------------------------------------------------


def test_two_simultaneous_requests_with_one_idempotency_key_create_one_rollout(
    api: Api, fleet: Fleet
) -> None:
    fleet.start("once")
    raw = body(target={"deviceIds": ["once"]})
    responses: list[Any] = []

    def post() -> None:
        responses.append(api.call("POST", "/rollouts", raw, {"Idempotency-Key": "build-77"}))

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sorted(response.status for response in responses)
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 503}
    again = api.call("POST", "/rollouts", raw, {"Idempotency-Key": "build-77"})
    assert again.status == 200
    assert len(api.get("/devices/once/rollouts")["value"]) == 1
    other = api.call(
        "POST", "/rollouts", body(target={"deviceIds": ["once"]}, labels={"a": "b"}),
        {"Idempotency-Key": "build-77"},
    )  # fmt: skip
    assert other.status == 409


# -- secrets and health ----------------------------------------------------------------------


def test_the_app_is_healthy_and_no_log_contains_a_key(
    api: Api, fleet: Fleet, shared_cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "simulator"):
        fleet.start("discreet")
        wait(api, api.create("discreet"))
    health = api.get("/health")
    assert (health["status"], health["parts"]) == ("healthy", {"hub": "ok", "storage": "ok"})
    options = shared_cloud.options
    secrets = [
        text.rsplit("SharedAccessKey=", 1)[1]
        for text in (options.service_connection_string, fleet.connection_strings["discreet"])
    ]
    secrets += ["sig=", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6"]
    written = shared_cloud.host.options.log.read_text() + caplog.text
    assert not [secret for secret in secrets if secret in written]
