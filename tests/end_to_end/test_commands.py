"""Commands of operators while devices report: none is lost, nothing starts during a pause."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import Any
from uuid import uuid4

import pytest

from tests.end_to_end.checks import check_counters, list_updates, parse_time
from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet
from tests.end_to_end.simulated_fleet import connected_fleet
from tests.waiting import eventually

COMMANDS = ("pause", "resume", "approve", "retry", "rollback", "cancel")
# The status that a command leads to.
LEADS_TO = {"pause": "paused", "resume": "running"}
COMMAND_SECONDS = 90
UNKNOWN = "98204585790876-33f54ea28ab6"


def pause_and_resume(api: Api, path: str, completed: int) -> list[str]:
    """Pause and resume until `completed` devices have completed, then cancel; return the actions.

    Between two commands, every GET returns the status of the first command's response.
    """
    chance = random.Random(11)  # noqa: S311 - moments, not secrets
    done = []
    deadline = time.monotonic() + COMMAND_SECONDS
    for command in cycle(LEADS_TO):
        status = LEADS_TO[command]
        assert api.post(f"{path}/{command}", {"by": "operator"})["status"] == status
        done.append(f"{command}d")
        until = time.monotonic() + chance.uniform(0, 0.3 if command == "pause" else 1.2)
        found = api.get(path)
        while time.monotonic() < until:
            assert found["status"] == status
            time.sleep(0.02)
            found = api.get(path)
        if command == "resume" and found["counts"]["completed"] >= completed:
            break
        assert time.monotonic() < deadline, found
    assert api.post(f"{path}/cancel", {"by": "operator"})["status"] == "cancelled"
    assert api.get(path)["status"] == "cancelled"
    return [*done, "cancelled"]


def list_pauses(events: Sequence[Any]) -> list[tuple[datetime, datetime]]:
    """Return the start and end of every pause."""
    times = [(parse_time(event["at"]), event["action"]) for event in events]
    started = [at for at, action in times if action == "paused"]
    over = [at for at, action in times if action == "resumed"]
    return list(zip(started, over, strict=True))


def test_commands_persist_and_no_device_starts_in_a_pause_while_fifty_devices_report(
    api: Api,
) -> None:
    with connected_fleet(api.options, 50, "--stage-seconds", "0.3", prefix="commanded-") as ids:
        created = api.create(*ids, maxInFlight=12)
        path = f"/rollouts/{created['id']}"
        done = pause_and_resume(api, path, completed=25)
        ended = api.wait_for_end(created)
    assert ended["status"] == "cancelled"
    counted = check_counters(api, created["id"])
    assert counted["completed"] >= 25
    assert counted["completed"] + counted["cancelled"] == 50
    events = api.every(f"{path}/events?limit=100")
    assert [event["action"] for event in events if event["by"] == "operator"] == done
    assert len(done) > 4
    stopped = [
        *list_pauses(events),
        (parse_time(events[-1]["at"]), datetime.max.replace(tzinfo=UTC)),
    ]
    for update in list_updates(api, created["id"]):
        steps = api.device(created["id"], update["deviceId"])["history"]
        invoked = [parse_time(step["at"]) for step in steps if step["state"] == "dispatching"]
        invoked += [parse_time(update["dispatchedAt"])] if update["dispatchedAt"] else []
        assert not [at for at in invoked for start, over in stopped if start < at < over], steps


def test_a_cancelled_rollout_starts_no_device_and_its_started_updates_end(api: Api) -> None:
    with connected_fleet(api.options, 30, "--stage-seconds", "1", prefix="stopped-") as ids:
        created = api.create(*ids, maxInFlight=10)
        path = f"/rollouts/{created['id']}"
        eventually(lambda: api.get(path)["counts"]["updating"] > 0)
        response = api.post(f"{path}/cancel", {"by": "operator", "reason": "wrong build"})
        assert (response["status"], response["counts"]["queued"]) == ("cancelled", 0)
        message = response["statusReason"]["message"]
        assert message.startswith("Cancelled by operator: wrong build. Next: ")
        assert api.wait_for_end(created)["status"] == "cancelled"
    counted = check_counters(api, created["id"])
    assert 0 < counted["completed"] <= 10
    assert counted["completed"] + counted["cancelled"] == 30


def test_a_wave_with_approval_opens_only_when_it_is_approved(api: Api) -> None:
    waves = [{"name": "canary", "size": 1}, {"name": "fleet", "size": 3, "approval": True}]
    with connected_fleet(api.options, 4, "--stage-seconds", "0", prefix="approved-") as ids:
        created = api.create(*ids, waves=waves)
        path = f"/rollouts/{created['id']}"

        def read_awaiting_approval() -> Any:
            found = api.get(path)
            code = (found["statusReason"] or {}).get("code")
            return found if code == "awaitingApproval" else None

        waiting = eventually(read_awaiting_approval)
        message = waiting["statusReason"]["message"]
        assert message.startswith("Wave fleet waits for approval. Next: fleet approve ")
        assert waiting["counts"] | {"completed": 1, "queued": 3} == waiting["counts"]
        queued = api.get(f"{path}/devices?state=queued")["value"]
        told = api.device(created["id"], queued[0]["deviceId"])["explanation"]
        assert "Wave fleet waits for approval." in told
        assert api.post(f"{path}/approve", {"by": "ada"})["statusReason"] is None
        assert api.wait_for_end(created)["counts"]["completed"] == 4
        assert api.call("POST", f"{path}/approve").status == 409
        events = api.every(f"{path}/events?limit=100")
    assert ("approved", "ada") in [(event["action"], event["by"]) for event in events]


def test_the_explanation_of_a_device_in_a_later_wave_has_the_counts_of_the_earlier_wave(
    api: Api, fleet: Fleet
) -> None:
    ids = [f"asleep-{number}" for number in range(4)]
    for device_id in ids:
        fleet.register(device_id)
    created = api.create(*ids, waves=[{"name": "canary", "size": 3}], successShare="60%")
    path = f"/rollouts/{created['id']}"
    eventually(lambda: api.get(path)["status"] == "running")
    updates = list_updates(api, created["id"])
    rest = next(item["deviceId"] for item in updates if item["wave"] == "rest")
    why = "wave rest opens when 60% of wave canary completed: 2 of 3, now 0."
    assert why in api.device(created["id"], rest)["explanation"]
    api.post(f"{path}/pause", {"by": "ada", "reason": "it is Friday"})
    assert "Paused by ada: it is Friday" in api.device(created["id"], rest)["explanation"]
    api.post(f"{path}/cancel")


def make_closed_window() -> dict[str, Any]:
    """Return a window that opens in 12 h, so that nothing starts by itself."""
    hour = (datetime.now(UTC).hour + 12) % 24
    return {"start": f"{hour:02}:00", "end": f"{hour:02}:30", "timezone": "UTC"}


@pytest.fixture
def idle_rollout(api: Api, fleet: Fleet) -> Iterator[str]:
    """Create a running rollout that starts nothing; cancel it at the end."""
    device_id = f"steady-{uuid4()}"
    fleet.register(device_id)
    created = api.create(device_id, window=make_closed_window())
    path = f"/rollouts/{created['id']}"
    eventually(lambda: api.get(path)["status"] == "running")
    yield path
    api.call("POST", f"{path}/cancel")
    assert api.get(path)["status"] == "cancelled"


def test_a_command_that_the_status_does_not_allow_is_refused_and_changes_nothing(
    api: Api, idle_rollout: str
) -> None:
    refused = {
        "running": ("resume", "approve", "rollback"),
        "paused": ("pause", "approve", "rollback"),
        "cancelled": tuple(name for name in COMMANDS if name != "retry"),
    }
    for status, commands in refused.items():
        if status != "running":
            api.post(f"{idle_rollout}/{'pause' if status == 'paused' else 'cancel'}")
        before = api.get(idle_rollout), api.every(f"{idle_rollout}/events?limit=100")
        for command in commands:
            response = api.call("POST", f"{idle_rollout}/{command}", {"by": "eve"})
            assert response.status == 409, (command, response)
            assert response.headers["content-type"].startswith("application/problem+json")
            assert f"The rollout is {status}" in response.json["detail"], (command, response)
        response = api.call("POST", f"{idle_rollout}/retry")
        assert (response.status, "No device" in response.text) == (409, True), response
        assert (api.get(idle_rollout), api.every(f"{idle_rollout}/events?limit=100")) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_for_an_unknown_rollout_is_404(api: Api, command: str) -> None:
    for rollout_id in (UNKNOWN, "nothing", "%27%20or%20true", "x" * 300):
        response = api.call("POST", f"/rollouts/{rollout_id}/{command}")
        assert response.status == 404, response


BODIES: list[tuple[bytes, int]] = [
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b"by=ada", 400),
    (b"[" * 5000 + b"]" * 5000, 400),
    (b"[]", 422),
    (b"null", 422),
    (b'"ada"', 422),
    (b'{"by": 7}', 422),
    (b'{"by": ""}', 422),
    (b'{"by": "' + b"x" * 129 + b'"}', 422),
    (b'{"by": "a\\u0000b"}', 422),
    (b'{"reason": "' + b"x" * 257 + b'"}', 422),
    (b'{"force": true}', 422),
    (b'{"reason": "' + b"x" * 17_000_000 + b'"}', 413),
]


def test_an_invalid_body_is_refused_and_changes_nothing(api: Api, idle_rollout: str) -> None:
    before = api.get(idle_rollout)
    for raw, status in BODIES:
        response = api.call("POST", f"{idle_rollout}/pause", raw)
        assert (response.status, api.get(idle_rollout)) == (status, before), (raw[:40], response)
        assert response.headers["content-type"].startswith("application/problem+json")
    # White space alone is an empty body, which is allowed.
    assert api.call("POST", f"{idle_rollout}/pause", b" \n").status == 200


def test_of_eight_simultaneous_pauses_one_succeeds(api: Api, idle_rollout: str) -> None:
    statuses: list[int] = []

    def pause(number: int) -> None:
        statuses.append(
            api.call("POST", f"{idle_rollout}/pause", {"by": f"operator {number}"}).status
        )

    threads = [threading.Thread(target=pause, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 7
    actions = [event["action"] for event in api.every(f"{idle_rollout}/events?limit=100")]
    assert actions.count("paused") == 1
