"""Test webhooks over HTTP, and what their receivers get."""

import base64
import itertools
import json
import logging
from datetime import datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import webhooks

from functions.dispatch_queue.port import Delivery
from functions.errors import StorageUnavailableError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import audit
from functions.use_cases import event_feed
from functions.use_cases.commit import Change, commit
from functions.use_cases.deliver import deliver
from tests.functions.triggers.client import Client
from tests.functions.triggers.described import BASE, document
from tests.functions.use_cases.receivers import Received, WorldWithReceivers
from tests.functions.use_cases.world import devices

URL = "https://hooks.example/fleet/c2VjcmV0"
FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"}


@pytest.fixture
def world() -> WorldWithReceivers:
    return WorldWithReceivers(devices(3), still=True)


@pytest.fixture
def client(world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def put(client: Client, name: str = "ops", **more: Any) -> Any:
    response = client.put(f"/webhooks/{name}", {"url": URL} | more)
    assert response.status in {200, 201}, response.text
    return response.body


def create(client: Client) -> str:
    body = {"firmware": FIRMWARE, "target": {"deviceIds": ["d-000", "d-001"]}}
    return str(client.post("/rollouts", body).body["id"])


def add_events(world: WorldWithReceivers, rollout_id: str, count: int) -> None:
    """Add events, at most 20 in a commit, as many as a record takes."""

    def decide(moment: Moment, stored: Snapshot) -> Change:
        rollout = stored.rollout
        for _ in range(min(count, 20)):
            rollout = audit.add_event(rollout, moment.now, "changed", "An event.")
        return Change(rollout)

    for _ in range(-(-count // 20)):
        snapshot = world.stores.rollouts.get(rollout_id)
        assert snapshot is not None
        commit(world.services, snapshot, decide)


def all_ids(client: Client, rollout_id: str) -> list[str]:
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    return [f"{rollout_id}-{number}" for number in range(len(events))]


@pytest.fixture
def verifier_clock(world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library, which refuses old messages, read the world's clock."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return world.now.astimezone(tz)

    monkeypatch.setattr(webhooks, "datetime", Clock)


@pytest.mark.usefixtures("verifier_clock")
def test_every_event_is_delivered_as_a_signed_cloud_event(
    client: Client, world: WorldWithReceivers
) -> None:
    made = put(client)
    public = Ed25519PublicKey.from_public_bytes(
        base64.b64decode(made["publicKey"].removeprefix("whpk_"))
    )
    accepted: list[Any] = []

    def verify(request: Received) -> int:
        headers = dict(request.headers)
        accepted.append(webhooks.Webhook(made["secret"]).verify(request.body, headers))
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()
        signature = base64.b64decode(headers["webhook-signature"].split("v1a,")[1])
        public.verify(signature, content + request.body)
        return 204

    world.receivers.respond = verify
    rollout_id = create(client)
    world.pass_with_deliveries(hours=0.1)
    assert world.rollout(rollout_id).is_over
    assert world.receivers.ids() == all_ids(client, rollout_id)
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    assert [item["type"].removeprefix("fleet-rollout.rollout.") for item in accepted] == [
        event["action"] for event in events
    ]
    assert [item["data"]["message"] for item in accepted] == [item["message"] for item in events]
    assert {item["specversion"] for item in accepted} == {"1.0"}
    assert [item["sequence"] for item in accepted] == [f"{n:08d}" for n in range(len(events))]
    assert accepted[-1]["data"]["rollout"]["counts"]["completed"] == 2
    last, verifier = world.receivers.received[-1], webhooks.Webhook(made["secret"])
    with pytest.raises(webhooks.WebhookVerificationError):
        verifier.verify(last.body + b" ", dict(last.headers))


def test_a_receiver_that_was_down_for_an_hour_gets_all_events_once_in_order(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client, "down")
    put(client, "up", url="https://up.example/")
    world.receivers.respond = lambda request: None if "hooks" in request.url else 200
    rollout_id = create(client)
    world.pass_with_deliveries(hours=1)
    assert client.get("/webhooks/down").body["failing"]["detail"] == "no response"
    assert world.receivers.ids("up.example") == all_ids(client, rollout_id)
    assert world.receivers.ids("hooks.example") == []
    world.receivers.respond = lambda _: 200
    world.pass_with_deliveries(hours=0.6)
    assert world.receivers.ids("hooks.example") == all_ids(client, rollout_id)
    assert "failing" not in client.get("/webhooks/down").body


def test_of_ten_thousand_events_none_is_lost_and_duplicates_have_the_same_id(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    rollout_id = create(client)
    seen = itertools.count(1)

    def fail_often(request: Received) -> int:
        if next(seen) % 97 == 0:  # it has the event, and its response is lost
            world.receivers.received.append(request)
            return 500
        return 200

    world.receivers.respond = fail_often
    for _ in range(10):
        add_events(world, rollout_id, 1_000)
        world.pass_time(seconds=20)
        world.deliver()
    while world.deliveries.waiting:
        world.pass_time(seconds=10)
        world.deliver()
    ids = world.receivers.ids()
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    count = snapshot.rollout.audit.event_count
    assert count > 10_000
    assert list(dict.fromkeys(ids)) == [f"{rollout_id}-{number}" for number in range(count)]
    assert len(ids) > count
    assert all(one == other for one, other in _repeated(ids))


def _repeated(ids: list[str]) -> list[tuple[str, str]]:
    """Return each event that came again, with the event before it."""
    seen: set[str] = set()
    found = []
    for before, item in itertools.pairwise(ids):
        seen.add(before)
        if item in seen:
            found.append((item, before))
    return found


def test_a_crash_between_commit_and_queue_loses_nothing(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    rollout_id = create(client)
    world.pass_with_deliveries(hours=0.1)
    assert world.rollout(rollout_id).is_over
    add_events(world, rollout_id, 1)
    world.deliveries.waiting.clear()  # the process crashed
    world.services.feed.webhooks, world.services.feed.swept_at = (), None
    world.pass_with_deliveries(hours=0.01)
    assert world.receivers.ids() == all_ids(client, rollout_id)


def test_a_queue_that_was_down_loses_nothing(client: Client, world: WorldWithReceivers) -> None:
    put(client)
    put_of_queue = world.deliveries.put

    def fail(*_: Any) -> None:
        raise StorageUnavailableError("gone")

    world.deliveries.put = fail  # type: ignore[method-assign]
    rollout_id = create(client)
    world.ticks(2)
    world.deliveries.put = put_of_queue  # type: ignore[method-assign]
    world.pass_with_deliveries(hours=0.3)
    assert world.receivers.ids() == all_ids(client, rollout_id)


def test_two_deliveries_at_once_do_not_mix(client: Client, world: WorldWithReceivers) -> None:
    put(client)
    rollout_id = create(client)

    def deliver_again(_: Received) -> int:
        world.receivers.respond = lambda _: 200
        deliver(world.services, Delivery(rollout_id, "ops"))
        return 200

    world.receivers.respond = deliver_again
    world.pass_with_deliveries(hours=0.1)
    assert world.receivers.ids() == all_ids(client, rollout_id)


def test_a_410_disables_and_a_put_enables_again_without_loss(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    world.receivers.respond = lambda _: 410
    rollout_id = create(client)
    world.pass_with_deliveries(hours=0.1)
    assert world.receivers.attempts == 1
    assert "410" in client.get("/webhooks/ops").body["disabled"]["reason"]
    world.receivers.respond = lambda _: 200
    assert "disabled" not in put(client)
    world.deliver()
    assert world.receivers.ids() == all_ids(client, rollout_id)


def test_three_days_of_failures_disable(client: Client, world: WorldWithReceivers) -> None:
    put(client)
    world.receivers.respond = lambda _: 500
    create(client)
    for _ in range(80):
        world.pass_time(hours=1)
        world.deliver()
    assert "3 days" in client.get("/webhooks/ops").body["disabled"]["reason"]
    assert not world.deliveries.waiting


def test_only_chosen_actions_are_delivered(client: Client, world: WorldWithReceivers) -> None:
    put(client, actions=["ended", "completed"])
    rollout_id = create(client)
    world.pass_with_deliveries(hours=0.1)
    (received,) = world.receivers.received
    assert json.loads(received.body)["data"]["action"] in {"ended", "completed"}
    assert received.headers["webhook-id"] == all_ids(client, rollout_id)[-1]


def test_events_before_the_webhook_are_not_delivered(
    client: Client, world: WorldWithReceivers
) -> None:
    rollout_id = create(client)
    world.pass_time(seconds=1)
    put(client)
    world.deliver()
    assert world.receivers.ids() == []
    client.post(f"/rollouts/{rollout_id}/pause", {})
    world.deliver()
    assert world.receivers.ids() == all_ids(client, rollout_id)[-1:]


@pytest.mark.parametrize(
    ("url", "format_", "field"),
    [
        ("https://prod-1.westeurope.logic.azure.com/workflows/a?sig=c2VjcmV0", "teams", "type"),
        ("https://x.environment.api.powerplatform.com/a?sig=c2VjcmV0", "teams", "attachments"),
        ("https://hooks.slack.com/services/T0/B0/c2VjcmV0", "slack", "blocks"),
        ("https://evil.example/hooks.slack.com/c2VjcmV0", "cloudEvents", "specversion"),
    ],
)
def test_the_url_decides_the_format_and_is_not_shown(
    client: Client, world: WorldWithReceivers, url: str, format_: str, field: str
) -> None:
    assert put(client, url=url)["format"] == format_
    response = client.post("/webhooks/ops/test")
    assert response.body == {"delivered": True, "status": 200, "detail": "status 200"}
    assert field in json.loads(world.receivers.received[0].body)
    shown = client.get("/webhooks").text + client.get("/webhooks/ops").text + response.text
    assert "c2VjcmV0" not in shown


def test_secrets_are_shown_once_and_an_earlier_one_signs_for_a_day(
    client: Client, world: WorldWithReceivers
) -> None:
    first = put(client)["secret"]
    assert first not in client.get("/webhooks/ops").text
    assert "secret" not in put(client)
    second = put(client, rotateSecret=True)["secret"]
    assert first != second
    client.post("/webhooks/ops/test")
    world.pass_time(days=1)
    client.post("/webhooks/ops/test")
    signatures = [item.headers["webhook-signature"] for item in world.receivers.received]
    assert [text.count("v1,") for text in signatures] == [2, 1]
    given = "whsec_" + base64.b64encode(b"k" * 32).decode()
    assert given not in json.dumps(put(client, secret=given))


@pytest.mark.parametrize(
    ("name", "body", "pointer"),
    [
        ("ops", {"url": "ftp://x.example"}, "/url"),
        ("ops", {"url": "https://private.example"}, "/url"),
        ("ops", {}, "/url"),
        ("ops", {"url": URL, "secret": "whsec_c2hvcnQ="}, "/secret"),
        ("ops", {"url": URL, "secret": "no prefix"}, "/secret"),
        ("ops", {"url": URL, "actions": ["paused", "paused"]}, "/actions"),
        ("ops", {"url": URL, "actions": ["paused", "complete"]}, "/actions/1"),
        ("ops", {"url": URL, "format": "email"}, "/format"),
        ("ops", {"url": URL, "retries": 1}, "/retries"),
        ("Ops!", {"url": URL}, None),
    ],
)
def test_an_invalid_webhook_is_refused_and_not_stored(
    client: Client, name: str, body: Any, pointer: str | None
) -> None:
    response = client.put(f"/webhooks/{name}", body)
    assert response.status == 422
    pointers = [item["pointer"] for item in response.body.get("errors", [])]
    assert pointer is None or pointer in pointers
    assert client.get("/webhooks").body == {"value": []}


def test_a_deleted_webhook_is_unknown_and_receives_nothing(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    create(client)
    assert client.delete("/webhooks/ops").status == 200
    world.deliver()
    assert world.receivers.ids() == []
    assert client.get("/webhooks/ops").status == client.delete("/webhooks/ops").status == 404
    assert client.post("/webhooks/ops/test").status == 404


def test_without_a_webhook_a_tick_and_a_commit_cost_nothing_more(
    client: Client, world: WorldWithReceivers
) -> None:
    create(client)
    world.ticks(1)
    store: Any = world.stores.webhooks
    reads = []
    read = store.read_controls

    def count() -> Any:
        reads.append(1)
        return read()

    store.read_controls = count
    world.ticks(2)
    assert len(reads) == 2  # with the freeze
    assert not world.deliveries.waiting


def test_each_event_is_a_log_line_with_fields(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, event_feed.__name__)
    rollout_id = create(client)
    client.post(f"/rollouts/{rollout_id}/pause", {"by": "ada", "reason": "too hot"})
    lines: list[Any] = [item for item in caplog.records if item.name == event_feed.__name__]
    assert [item.action for item in lines][-1] == "paused"
    last = lines[-1]
    assert (last.rolloutId, last.status, last.reasonCode) == (rollout_id, "paused", "paused")
    assert (last.by, last.updating, last.total) == ("ada", 2, 2)
    assert f"rolloutId={rollout_id}" in last.getMessage()
    assert "action=paused status=paused" in last.getMessage().replace(" by=ada", "")


def test_a_new_webhook_has_a_location_as_the_description_says(client: Client) -> None:
    created, replaced = (client.put("/webhooks/ops", {"url": URL}) for _ in range(2))
    assert (created.status, replaced.status) == (201, 200)
    assert created.headers["Location"] == f"{BASE}/webhooks/ops"
    assert "Location" not in replaced.headers
    paths = document()["paths"]
    for path in ("/webhooks/{name}", "/firmware/{version}"):
        responses = paths[path]["put"]["responses"]
        assert "Location" in responses["201"]["headers"]
        assert "Location" not in responses["200"].get("headers", {})
    assert "Location" in paths["/rollouts"]["post"]["responses"]["200"]["headers"]
