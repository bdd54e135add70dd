"""Operators and devices at once, hosts that die, batches that cannot be sent."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.dispatch_queue.storage_queue import POISON_QUEUE, QUEUE
from simulator.cloud import cloud
from simulator.cloud.cloud import LocalCloud
from tests.end_to_end.client import Api, eventually
from tests.end_to_end.conftest import make_options
from tests.end_to_end.light_fleet import light_fleet


@pytest.fixture
def own_cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with cloud.running(replace(make_options(tmp_path), throttle_scale=10)) as running:
        yield running


def all_updates(api: Api, rollout_id: str) -> list[Any]:
    found: list[Any] = []
    path: str | None = f"/rollouts/{rollout_id}/devices?limit=100"
    while path:
        page = api.get(path)
        found += page["value"]
        path = page["nextLink"].split("/api", 1)[1] if "nextLink" in page else None
    return found


def check_counters(api: Api, rollout_id: str) -> None:
    """The counters are those of the devices, once nothing moves any more."""
    states = Counter(item["state"] for item in all_updates(api, rollout_id))
    counts = api.get(f"/rollouts/{rollout_id}")["counts"]
    for name in ("queued", "completed", "failed", "cancelled", "skipped"):
        assert counts[name] == states[name], (name, counts, states)
    assert counts["total"] == sum(states.values())


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def paused_times(api: Api, rollout_id: str) -> list[tuple[datetime, datetime]]:
    events: list[Any] = []
    path: str | None = f"/rollouts/{rollout_id}/events?limit=100"
    while path:
        page = api.get(path)
        events += page["value"]
        path = page["nextLink"].split("/api", 1)[1] if "nextLink" in page else None
    times = [(event["action"], moment(event["at"])) for event in events]
    begun = [at for action, at in times if action == "paused"]
    over = [at for action, at in times if action == "resumed"]
    return list(zip(begun, over, strict=False))


def test_while_fifty_devices_report_no_command_is_undone_and_nothing_starts_in_a_pause(
    own_cloud: LocalCloud,
) -> None:
    api = Api(own_cloud.options)
    with light_fleet(own_cloud.options, 50, "--stage-seconds", "0.5") as ids:
        strategy = {"maxInFlight": 15}
        created = api.create(*ids, **strategy)
        path = f"/rollouts/{created['id']}"
        commands = 0
        until = time.monotonic() + 60
        while api.get(path)["endedAt"] is None and time.monotonic() < until:
            for command, status in (("pause", "paused"), ("resume", "running")):
                answer = api.call("POST", f"{path}/{command}", {"by": "operator"})
                if answer.status == 409:  # it ended in between
                    break
                assert answer.json["status"] in {status, "completed"}
                assert api.get(path)["status"] in {status, "completed"}
                commands += 1
                time.sleep(0.2)
        assert api.get(path)["status"] == "completed"
        assert commands > 4
        check_counters(api, created["id"])
        pauses = paused_times(api, created["id"])
        for item in all_updates(api, created["id"]):
            at = moment(item["dispatchedAt"])
            assert not any(begun < at < over for begun, over in pauses), item


def test_a_cancelled_rollout_starts_nothing_and_lets_what_has_started_end(
    own_cloud: LocalCloud,
) -> None:
    api = Api(own_cloud.options)
    with light_fleet(own_cloud.options, 50, "--stage-seconds", "1") as ids:
        created = api.create(*ids, maxInFlight=10)
        path = f"/rollouts/{created['id']}"
        eventually(lambda: api.get(path)["counts"]["updating"] > 0)
        answer = api.call("POST", f"{path}/cancel", {"by": "operator", "reason": "wrong build"})
        assert answer.json["status"] == "cancelled"
        assert answer.json["counts"]["queued"] == 0
        ended = api.get(f"{path}?waitSeconds=30")
        assert (ended["status"], ended["endedAt"] is None) == ("cancelled", False)
        assert ended["counts"]["completed"] > 0
        assert ended["counts"]["completed"] + ended["counts"]["cancelled"] == 50
        check_counters(api, created["id"])
        assert api.call("POST", f"{path}/resume").status == 409
        assert "cancelled" in api.call("POST", f"{path}/retry").json["detail"]


def test_a_host_killed_again_and_again_updates_each_device_once(own_cloud: LocalCloud) -> None:
    api = Api(own_cloud.options)
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    with light_fleet(own_cloud.options, 60, "--stage-seconds", "0.5") as ids:
        # Soon asked again, where a killed sender left them in doubt.
        created = api.create(*ids, maxInFlight=20, retry={"initialDelay": "PT1S"})
        for _ in range(6):
            time.sleep(chance.uniform(0.2, 2))
            os.killpg(own_cloud.host.pid, signal.SIGKILL)
            own_cloud.host.restart()
            own_cloud.host.wait_until_ready()
        # What a killed sender left in doubt is settled once its claim's lease is over.
        for _ in range(4):
            ended = api.get(f"/rollouts/{created['id']}?waitSeconds=60")
            if ended["endedAt"] is not None:
                break
        assert ended["counts"]["completed"] == 60, ended
        check_counters(api, created["id"])
        attempts = Counter(item["attempt"] for item in all_updates(api, created["id"]))
        assert attempts == {1: 60}


def test_what_cannot_be_sent_ends_as_failed_devices_with_a_reason_or_is_dropped_loudly(
    own_cloud: LocalCloud,
) -> None:
    api = Api(own_cloud.options)
    options = own_cloud.options
    storage = options.azurite.connection_string
    with light_fleet(options, 12, "--stage-seconds", "0") as ids:
        created = api.create(*ids, window=_closed_window())
        policy = TextBase64EncodePolicy()
        for queue, text in (
            (QUEUE, None),
            (POISON_QUEUE, "no batch"),
            (POISON_QUEUE, messages.to_text(Batch(created["id"], 0, 0, 0b111))),
        ):
            client = QueueClient.from_connection_string(
                storage, queue, message_encode_policy=policy
            )
            _create(client)
            if text is not None:
                client.send_message(text)
        path = f"/rollouts/{created['id']}"
        eventually(lambda: api.get(path)["counts"]["failed"] == 3)
        failed = api.get(f"{path}/devices?state=failed")["value"]
        assert {item["error"]["code"] for item in failed} == {"unreachable"}
        assert "five tries" in failed[0]["error"]["message"]
        assert "is no batch, and is dropped" in (options.logs / "host.log").read_text()


def _create(client: QueueClient) -> None:
    with suppress(ResourceExistsError):
        client.create_queue()


def _closed_window() -> dict[str, Any]:
    """Open in twelve hours from now, so that nothing starts by itself."""
    hour = (datetime.now(UTC).hour + 12) % 24
    return {"start": f"{hour:02}:00", "end": f"{hour:02}:30", "timezone": "UTC"}


def test_two_operators_at_once_leave_one_truth(own_cloud: LocalCloud) -> None:
    api = Api(own_cloud.options)
    with light_fleet(own_cloud.options, 12, "--stage-seconds", "0.2") as ids:
        created = api.create(*ids, window=_closed_window())
        path = f"/rollouts/{created['id']}"
        statuses: list[int] = []

        def pause() -> None:
            statuses.append(api.call("POST", f"{path}/pause").status)

        threads = [threading.Thread(target=pause) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [409] * 7
        trail = api.get(f"{path}/events?limit=100")["value"]
        assert [event["action"] for event in trail].count("paused") == 1
