"""Test the freeze of starts in all rollouts, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from functions.errors import StorageUnavailableError
from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.strategy import Offline, Strategy
from functions.rollouts.rollout import freezing
from tests.functions.triggers.client import Client
from tests.functions.use_cases.test_unsent_methods import interrupt
from tests.functions.use_cases.world import NOON, USUAL_WARNINGS, World, device, devices

BODY = {"reason": "incident 4711", "by": "ada"}
FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"}


@pytest.fixture
def world() -> World:
    return World(devices(40))


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def create(client: Client, *device_ids: str, **more: Any) -> str:
    ids = list(device_ids) or [f"d-{number:03}" for number in range(40)]
    body = {"firmware": FIRMWARE, "target": {"deviceIds": ids}, **more}
    response = client.post("/rollouts", body)
    assert response.status == 201, response.text
    return str(response.body["id"])


def freeze(client: Client, **more: Any) -> Any:
    response = client.put("/freeze", BODY | more)
    assert response.status == 200, response.text
    return response.body


def actions(client: Client, rollout_id: str) -> list[str]:
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    return [event["action"] for event in events]


def reason(client: Client, rollout_id: str) -> Any:
    return client.get(f"/rollouts/{rollout_id}").body["statusReason"]


def test_without_a_freeze_none_is_active(client: Client) -> None:
    assert client.get("/freeze").body == {"active": False, "revision": 0}
    assert client.delete("/freeze").status == 404


def test_a_freeze_stops_starts_in_all_rollouts_and_says_so(client: Client, world: World) -> None:
    first, second = create(client, "d-000", "d-001"), create(client, "d-002", "d-003")
    started = world.hub.started
    freeze(client)
    waiting = create(client, "d-010", "d-011")
    world.ticks(30)
    assert world.hub.started == started == 4
    for rollout_id in (first, second):
        assert client.get(f"/rollouts/{rollout_id}").body["counts"]["completed"] == 2
    shown = client.get(f"/rollouts/{waiting}").body
    assert (shown["status"], shown["counts"]["queued"]) == ("running", 2)
    message = shown["statusReason"]["message"]
    assert shown["statusReason"]["code"] == "frozen"
    assert message.startswith("Frozen by ada since 2026-11-23T12:")
    assert message.endswith(
        "until it is removed: no device starts. Reason: incident 4711."
        " Next: fleet unfreeze lets all rollouts go on."
    )
    listed = {item["id"]: item for item in client.get("/rollouts").body["value"]}
    assert listed[waiting]["statusReason"] == shown["statusReason"]
    explained = client.get(f"/rollouts/{waiting}/devices/d-010").body["explanation"]
    assert "Waiting: Frozen by ada" in explained
    client.delete("/freeze", {"by": "bob"})
    world.ticks(30)
    assert world.hub.started == 6
    assert actions(client, waiting).count("frozen") == 1
    assert actions(client, waiting).count("unfrozen") == 1
    assert actions(client, first).count("frozen") == 1


def test_the_end_of_a_freeze_keeps_who_removed_it_and_why(client: Client) -> None:
    rollout_id = create(client, "d-000")
    freeze(client)
    link = "https://x.example/a?sig=c2VjcmV0c2lnbmF0dXJl"
    removed = client.delete("/freeze", {"by": "bob", "reason": f"solved, see {link}"})
    assert removed.body["endedReason"] == "solved, see https://x.example/a?***"
    assert client.get("/freeze").body == removed.body
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    (end,) = [event for event in events if event["action"] == "unfrozen"]
    why = "solved, see https://x.example/a?***"
    assert end["message"] == f"The freeze of ada was removed by bob: {why}"


def test_a_freeze_that_is_removed_without_a_reason_shows_none(client: Client) -> None:
    rollout_id = create(client, "d-000")
    freeze(client)
    assert "endedReason" not in client.delete("/freeze", {"by": "bob"}).body
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    assert "The freeze of ada was removed by bob." in [event["message"] for event in events]


def test_a_batch_that_is_being_sent_stops(client: Client, world: World) -> None:
    rollout_id = create(client)
    batches = world.batches()
    sent = interrupt(world, 16, lambda: freeze(client))
    world.dispatch(*batches)
    assert (len(sent), world.hub.started) == (16, 16)
    assert world.rollout(rollout_id).counts.queued == 24
    client.delete("/freeze")
    world.until_over(rollout_id)
    assert world.hub.started == 40
    assert {item.attempt for item in world.updates(rollout_id)} == {1}


def test_a_leased_batch_starts_nothing_and_keeps_its_devices(client: Client, world: World) -> None:
    rollout_id = create(client)
    batches = world.batches()
    freeze(client)
    world.dispatch(*batches)
    world.ticks(10)
    assert world.hub.started == 0
    client.delete("/freeze")
    assert world.until_over(rollout_id).counts.completed == 40


def test_a_freeze_during_a_create_stops_its_methods(client: Client, world: World) -> None:
    """The freeze does not find the rollout yet, because its own row is not stored."""
    store: Any = world.stores.rollouts
    add = store.add

    def freeze_first(*given: Any) -> Any:
        freeze(client)
        return add(*given)

    store.add = freeze_first
    rollout_id = create(client, "d-000")
    assert world.hub.started == 0
    assert reason(client, rollout_id)["code"] == "frozen"
    store.add = add
    client.delete("/freeze")
    assert world.until_over(rollout_id).counts.completed == 1


def test_until_passes_by_itself_also_while_no_tick_ran(client: Client, world: World) -> None:
    freeze(client, until="2026-11-23T13:00:00Z")
    rollout_id = create(client, "d-000")
    assert "until 2026-11-23T13:00:00Z" in reason(client, rollout_id)["message"]
    world.ticks(6)
    assert world.hub.started == 0
    world.clock.now = NOON + timedelta(hours=5)  # the host was down
    shown = client.get("/freeze").body
    assert (shown["active"], shown["endedAt"]) == (False, "2026-11-23T13:00:00.000Z")
    assert world.until_over(rollout_id).counts.completed == 1
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    (end,) = [event for event in events if event["action"] == "unfrozen"]
    assert end["message"] == "The freeze of ada ended at 2026-11-23T13:00:00Z, as set."
    assert client.delete("/freeze").status == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reason": "r", "until": "2026-11-23T11:59:59Z"}, "/until"),
        ({"reason": "r", "until": "tomorrow"}, "/until"),
        ({"by": "ada"}, "/reason"),
        ({"reason": ""}, "/reason"),
        ({"reason": "r", "condition": ""}, "/condition"),
        ({"reason": "r", "condition": "SELECT * FROM devices"}, "/condition"),
        ({"reason": "r", "revision": -1}, "/revision"),
        ({"reason": "r", "devices": []}, "/devices"),
    ],
)
def test_an_invalid_freeze_is_refused_and_not_stored(
    client: Client, body: Any, pointer: str
) -> None:
    response = client.put("/freeze", body)
    assert response.status == 422
    assert [error["pointer"] for error in response.body["errors"]] == [pointer]
    assert client.get("/freeze").body == {"active": False, "revision": 0}


def test_a_condition_that_the_hub_rejects_is_refused(client: Client, world: World) -> None:
    def reject(*_: Any) -> None:
        raise ConditionError("Unexpected token at 5.")

    world.hub.query_matching = reject  # type: ignore[method-assign, assignment]
    response = client.put("/freeze", BODY | {"condition": "tags.x ="})
    assert response.status == 422
    assert response.body["errors"] == [
        {"pointer": "/condition", "detail": "Unexpected token at 5."}
    ]
    assert client.get("/freeze").body["active"] is False


def test_the_later_of_two_freezes_counts_and_names_the_earlier(client: Client) -> None:
    first = freeze(client)
    second = freeze(client, reason="another incident", by="bob", until="2026-11-24T00:00:00Z")
    assert second["replaces"]["reason"] == "incident 4711"
    assert (first["revision"], second["revision"]) == (1, 2)
    assert client.get("/freeze").body["by"] == "bob"
    stale = client.put("/freeze", BODY | {"revision": 1})
    assert stale.status == 409
    assert "revision 2, not 1" in stale.body["detail"]
    assert freeze(client, revision=2)["revision"] == 3


def test_a_pause_keeps_its_reason_and_names_the_freeze(client: Client, world: World) -> None:
    rollout_id = create(client, startAt="2026-11-23T12:00:30Z")
    client.post(f"/rollouts/{rollout_id}/pause", {"by": "eve"})
    freeze(client)
    shown = reason(client, rollout_id)
    assert shown["code"] == "paused"
    assert shown["message"].startswith("Paused by eve. Frozen by ada")
    assert client.post(f"/rollouts/{rollout_id}/resume").status == 200
    world.ticks(10)
    assert world.hub.started == 0
    assert reason(client, rollout_id)["code"] == "frozen"
    assert client.post(f"/rollouts/{rollout_id}/cancel").status == 200
    assert world.until_over(rollout_id).counts.cancelled == 40


def test_a_rollback_waits_for_the_end_of_the_freeze(client: Client, world: World) -> None:
    first = create(client, "d-000")
    world.until_over(first)
    second = create(client, "d-000", firmware=FIRMWARE | {"version": "2.5.0"})
    world.until_over(second)
    freeze(client)
    rollback = client.post(f"/rollouts/{second}/rollback")
    assert (rollback.status, rollback.body["statusReason"]["code"]) == (201, "frozen")
    world.ticks(10)
    assert world.hub.started == 2
    client.delete("/freeze")
    assert world.until_over(rollback.body["id"]).counts.completed == 1


def test_only_devices_that_match_the_condition_wait(client: Client, world: World) -> None:
    world.hub.matching = {f"d-{number:03}" for number in range(0, 40, 4)}
    freeze(client, condition="tags.site = 'berlin'")
    rollout_id = create(client)
    world.ticks(40)
    assert world.rollout(rollout_id).counts.completed == 30
    device_path = f"/rollouts/{rollout_id}/devices/d-004"
    shown = client.get(device_path).body
    assert (shown["state"], shown["attempt"]) == ("queued", 1)
    assert "no device starts that matches tags.site = 'berlin'" in shown["explanation"]
    assert "berlin" in reason(client, rollout_id)["message"]
    queries = world.hub.operations.queries
    world.ticks(60)
    assert world.hub.operations.queries - queries <= 4  # a batch is checked every 5 minutes
    client.delete("/freeze")
    assert "berlin" not in client.get(device_path).body["explanation"]
    world.ticks(2)
    assert world.hub.started == 40


def test_a_small_rollout_starts_only_devices_that_do_not_match(
    client: Client, world: World
) -> None:
    world.hub.matching = {"d-001"}
    freeze(client, condition="tags.site = 'berlin'")
    rollout_id = create(client, "d-000", "d-001")
    assert world.hub.started == 1
    world.hub.matching = set()  # it moves away from berlin
    world.clock.now += freezing.CHECK_INTERVAL
    assert world.until_over(rollout_id).counts.completed == 2


def test_a_condition_that_the_hub_rejects_later_freezes_all(client: Client, world: World) -> None:
    world.hub.matching = set()
    freeze(client, condition="tags.site = 'berlin'")

    def reject(*_: Any) -> None:
        raise ConditionError("no")

    world.hub.find_matching = reject  # type: ignore[method-assign, assignment]
    create(client)
    world.ticks(6)
    assert world.hub.started == 0


def test_a_narrower_freeze_lets_the_other_devices_go(client: Client, world: World) -> None:
    world.hub.matching = {"d-000"}
    freeze(client)
    rollout_id = create(client)
    world.ticks(6)
    assert world.hub.started == 0
    freeze(client, condition="tags.site = 'berlin'")
    world.ticks(20)
    assert world.rollout(rollout_id).counts.completed == 39


def test_secrets_are_never_shown(client: Client, world: World) -> None:
    link = "https://x.example/a?sig=c2VjcmV0c2lnbmF0dXJl"
    freeze(client, reason=f"see {link}", condition=f"tags.link = '{link}'")
    rollout_id = create(client, "d-000")
    paths = ("/freeze", f"/rollouts/{rollout_id}", f"/rollouts/{rollout_id}/events")
    for path in (*paths, f"/rollouts/{rollout_id}/devices/d-000"):
        text = client.get(path).text
        assert "https://x.example/a?***" in text
        assert "c2Vj" not in text
    assert world.hub.started == 0


def test_a_plan_and_a_create_warn_of_the_freeze(client: Client, world: World) -> None:
    world.hub.matching = {"d-000", "d-001"}
    body = {"firmware": FIRMWARE, "target": {"deviceIds": ["d-000", "d-002"]}}
    freeze(client)
    shown = client.post("/rollouts/plan", body).body["warnings"]
    (warning,) = [item for item in shown if item["code"] not in USUAL_WARNINGS]
    assert (warning["code"], warning["count"]) == ("frozen", 2)
    freeze(client, condition="tags.site = 'berlin'")
    (warning,) = client.post("/rollouts", body).body["warnings"]
    assert (warning["code"], warning["count"]) == ("frozen", 1)


@pytest.mark.parametrize("condition", [None, "tags.site = 'berlin'"])
def test_a_freeze_does_not_use_up_the_offline_deadline(
    monkeypatch: pytest.MonkeyPatch, condition: str | None
) -> None:
    world = World([device("a", online=False), device("b")])
    client = Client(world, monkeypatch)
    strategy = Strategy(offline=Offline(deadline=timedelta(hours=1)))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(60)
    freeze(client, **({} if condition is None else {"condition": condition}))
    world.ticks(720)
    assert world.update(rollout_id).error is None
    client.delete("/freeze")
    world.hub.reconnect("a")
    assert world.until_over(rollout_id).counts.completed == 2


def test_window_and_freeze_both_count(client: Client, world: World) -> None:
    window = {"start": "12:00", "end": "13:00", "timezone": "UTC"}
    freeze(client, until="2026-11-23T12:30:00Z")
    rollout_id = create(client, strategy={"window": window})
    world.clock.now = NOON + timedelta(minutes=61)
    world.ticks(6)
    assert world.hub.started == 0
    explained = client.get(f"/rollouts/{rollout_id}/devices/d-000").body["explanation"]
    assert "outside the maintenance window" in explained
    world.clock.now = NOON + timedelta(days=1)
    world.ticks(6)
    assert world.hub.started == 40


def test_a_freeze_while_the_target_is_resolved_stops_its_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(devices(3_000), quotas(Tier.S1, 1))
    client = Client(world, monkeypatch)
    body = {"firmware": FIRMWARE, "target": {"condition": "tags.site = 'berlin'"}}
    rollout_id = client.post("/rollouts", body).body["id"]
    assert world.rollout(rollout_id).resolution is not None
    freeze(client)
    world.ticks(20)
    assert world.rollout(rollout_id).resolution is None
    assert (world.hub.started, reason(client, rollout_id)["code"]) == (0, "frozen")


def test_a_rollout_that_cannot_be_changed_is_changed_by_the_next_tick(
    client: Client, world: World
) -> None:
    rollout_id = create(client)
    world.batches()
    store: Any = world.stores.rollouts
    get = store.get

    def fail(_: str) -> None:
        raise StorageUnavailableError("gone")

    store.get = fail
    response = client.put("/freeze", BODY)
    store.get = get
    assert response.status == 503
    assert "1 rollout of 1 could not be changed yet" in response.body["detail"]
    world.ticks(1)
    assert reason(client, rollout_id)["code"] == "frozen"
    assert world.hub.started == 0


def test_a_tick_reads_the_freeze_once(client: Client, world: World) -> None:
    create(client)
    create(client)
    store: Any = world.stores.webhooks
    get, reads = store.read_controls, list[int]()

    def count() -> Any:
        reads.append(1)
        return get()

    store.read_controls = count
    world.tick()
    assert len(reads) == 1


def test_a_tick_that_read_the_freeze_before_its_end_does_not_bring_it_back(
    client: Client, world: World
) -> None:
    rollout_id = create(client)
    freeze(client)
    store: Any = world.stores.webhooks
    stale, get = store.read_controls(), store.read_controls
    client.delete("/freeze")
    store.read_controls = lambda: stale
    world.tick()
    store.read_controls = get
    assert reason(client, rollout_id) is None
    assert actions(client, rollout_id).count("frozen") == 1
