"""Check `PATCH /rollouts/{id}`: what may be changed, what follows at once, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client, Response
from tests.functions.use_cases.world import NOON, World, device, devices

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}
CANARY = {"name": "canary", "size": 2}


class Api:
    """The API in front of a world of devices."""

    def __init__(self, fleet: list[VirtualDevice], monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World(fleet)
        self.client = Client(self.world, monkeypatch)

    def create(self, strategy: dict[str, Any], **more: Any) -> str:
        target = {"deviceIds": sorted(self.world.hub.devices)}
        body = {"firmware": FIRMWARE, "target": target, "strategy": strategy, **more}
        created = self.client.post("/rollouts", body)
        assert created.status == 201, created.text
        return str(created.body["id"])

    def change(self, rollout_id: str, strategy: Any, **headers: str) -> Response:
        body = {"strategy": strategy, "reason": "because", "by": "ada"}
        return self.client.patch(f"/rollouts/{rollout_id}", body, **headers)

    def events(self, rollout_id: str, action: str) -> list[str]:
        found = self.client.get(f"/rollouts/{rollout_id}/events?limit=100").body["value"]
        return [event["message"] for event in found if event["action"] == action]


def test_a_change_names_each_old_and_new_value(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(30), monkeypatch)
    rollout_id = api.create({"waves": [CANARY]})
    response = api.change(
        rollout_id,
        {
            "failureGate": {"unacceptable": "5%", "onBreach": "cancel"},
            "successShare": "90%",
            "minCompleted": 1,
            "maxInFlight": 20,
            "soak": "PT10M",
            "timeout": "PT30M",
            "window": {"start": "01:00", "end": "23:00", "timezone": "UTC"},
        },
    )
    assert response.status == 200
    strategy = response.body["strategy"]
    assert strategy["failureGate"] == {
        "acceptable": "1%",
        "unacceptable": "5%",
        "confidence": 0.95,
        "onBreach": "cancel",
    }
    assert (strategy["maxInFlight"], strategy["soak"]) == (20, "PT10M")
    assert strategy["waves"] == [{**CANARY, "approval": False}]
    (event,) = api.events(rollout_id, "changed")
    assert event == (
        "Changed by ada (successShare none -> 90%, minCompleted 25% -> 1,"
        " failureGate.unacceptable 10% -> 5%, failureGate.onBreach pause -> cancel,"
        " soak 0 s -> 10 min, maxInFlight none -> 20, timeout 1 h -> 30 min,"
        " window none -> 01:00-23:00 UTC): because"
    )


def test_a_field_that_is_left_out_stays_and_null_removes(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(3), monkeypatch)
    window = {"start": "01:00", "end": "05:00", "timezone": "Europe/Berlin", "days": ["Mon"]}
    rollout_id = api.create({"maxInFlight": 1, "successShare": "90%", "window": window})
    merged = api.change(rollout_id, {"window": {"end": "06:00"}}).body["strategy"]
    assert merged["window"] == {**window, "end": "06:00"}
    assert (merged["maxInFlight"], merged["successShare"]) == (1, "90%")
    removed = api.change(rollout_id, {"window": None, "maxInFlight": None, "successShare": None})
    found = removed.body["strategy"]
    assert (found["window"], found["maxInFlight"], found["successShare"]) == (None, None, None)


def test_the_same_change_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(30), monkeypatch)
    rollout_id = api.create({"waves": [CANARY]})
    first = api.change(rollout_id, {"maxInFlight": 20})
    again = api.change(rollout_id, {"maxInFlight": 20})
    assert again.status == 200
    assert again.body["revision"] == first.body["revision"]
    assert len(api.events(rollout_id, "changed")) == 1


@pytest.mark.parametrize(
    ("strategy", "pointer", "part"),
    [
        ({"retry": {"attempts": 5}}, "/strategy/retry", "cannot be changed"),
        ({"stratifyBy": []}, "/strategy/stratifyBy", "failureGate, maxInFlight"),
        ({"onConflict": "refuse"}, "/strategy/onConflict", "cannot be changed"),
        ({"colour": "red"}, "/strategy/colour", "is not a known field"),
        ({}, "/strategy", "at least one field"),
        ({"failureGate": {}}, "/strategy/failureGate", "at least one field"),
        ({"soak": None}, "/strategy/soak", "ISO 8601 duration"),
        ({"timeout": "PT0S"}, "/strategy/timeout", "longer than zero"),
        ({"minCompleted": -1}, "/strategy/minCompleted", "from 0"),
        ({"failureGate": {"unacceptable": "0.5%"}}, "/strategy/failureGate", "acceptable <"),
        ({"failureGate": {"confidence": 1}}, "/strategy/failureGate/confidence", "less than"),
        ({"window": {"end": "05:00"}}, "/strategy/window/start", "required"),
        ({"waves": [{"size": 0}]}, "/strategy/waves/0/size", "from 1"),
        (
            {"waves": [CANARY, {"name": "canary", "size": 1}]},
            "/strategy/waves/1/name",
            "already the name",
        ),
        ({"waves": [CANARY, {"size": 40}]}, "/strategy/waves", "the target has 30"),
        ({"waves": [CANARY, {"name": "rest", "size": 1}]}, "/strategy/waves", "must differ"),
    ],
)
def test_what_cannot_be_changed_is_named(
    monkeypatch: pytest.MonkeyPatch, strategy: Any, pointer: str, part: str
) -> None:
    api = Api(devices(30), monkeypatch)
    rollout_id = api.create({"waves": [CANARY]})
    before = api.world.rollout(rollout_id)
    response = api.change(rollout_id, strategy)
    assert response.status == 422
    found = {item["pointer"]: item["detail"] for item in response.body["errors"]}
    assert part in found[pointer]
    assert api.world.rollout(rollout_id) == before


@pytest.mark.parametrize("body", [{}, {"strategy": {"maxInFlight": 1}}, {"reason": "why"}, []])
def test_strategy_and_reason_are_required(monkeypatch: pytest.MonkeyPatch, body: Any) -> None:
    api = Api(devices(3), monkeypatch)
    rollout_id = api.create({})
    assert api.client.patch(f"/rollouts/{rollout_id}", body).status == 422


def test_the_firmware_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(3), monkeypatch)
    body = {"firmware": FIRMWARE, "strategy": {"maxInFlight": 1}, "reason": "why"}
    response = api.client.patch(f"/rollouts/{api.create({})}", body)
    assert (response.status, response.body["errors"][0]["pointer"]) == (422, "/firmware")
    assert "cannot be changed" in response.body["errors"][0]["detail"]


def test_an_ended_or_unknown_rollout_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(3), monkeypatch)
    rollout_id = api.create({})
    api.world.until_over(rollout_id)
    response = api.change(rollout_id, {"maxInFlight": 1})
    assert response.status == 409
    assert "The rollout is completed" in response.body["detail"]
    assert api.change("98233500000000-0123456789ab", {"maxInFlight": 1}).status == 404


def test_a_stale_revision_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(30), monkeypatch)
    rollout_id = api.create({"waves": [CANARY]})
    read = api.client.get(f"/rollouts/{rollout_id}")
    tag = read.headers["ETag"]
    assert tag == f'"{read.body["revision"]}"'
    changed = api.change(rollout_id, {"maxInFlight": 5}, If_Match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] == f'"{changed.body["revision"]}"'
    stale = api.change(rollout_id, {"maxInFlight": 6}, If_Match=tag)
    assert stale.status == 412
    assert str(changed.body["revision"]) in stale.body["detail"]
    assert api.world.rollout(rollout_id).strategy.max_in_flight == 5
    weak = api.change(rollout_id, {"maxInFlight": 6}, If_Match=f"W/{changed.headers['ETag']}")
    assert weak.status == 412
    any_of = f'"1", {changed.headers["ETag"]}'
    assert api.change(rollout_id, {"maxInFlight": 6}, If_Match=any_of).status == 200
    assert api.change(rollout_id, {"maxInFlight": 7}, If_Match="*").status == 200


@pytest.mark.parametrize("tag", ["7", '"7', '"7" "8"', "x" * 300])
def test_an_invalid_tag_is_refused(monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    api = Api(devices(3), monkeypatch)
    response = api.change(api.create({}), {"maxInFlight": 1}, If_Match=tag)
    assert (response.status, "If-Match" in response.body["detail"]) == (422, True)


def test_a_stricter_gate_breaches_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = [device(f"d-{n:03}", fault=Fault.FAILING if n < 3 else Fault.NONE) for n in range(60)]
    api = Api(fleet, monkeypatch)
    loose = {"acceptable": "20%", "unacceptable": "90%"}
    rollout_id = api.create({"failureGate": loose, "maxInFlight": 12})
    while api.world.rollout(rollout_id).counts.failed < 3:
        api.world.tick()
    assert api.world.rollout(rollout_id).status is RolloutStatus.RUNNING
    gate = {"acceptable": "0.01%", "unacceptable": "10%"}
    response = api.change(rollout_id, {"failureGate": gate})
    assert response.body["status"] == "paused"
    assert response.body["statusReason"]["code"] == "failureGate"


def test_a_looser_gate_does_not_undo_a_breach(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = [device(f"d-{n:03}", fault=Fault.FAILING if n < 10 else Fault.NONE) for n in range(30)]
    api = Api(fleet, monkeypatch)
    rollout_id = api.create({"maxInFlight": 8})
    while api.world.rollout(rollout_id).status is RolloutStatus.RUNNING:
        api.world.tick()
    loose = {"acceptable": "50%", "unacceptable": "90%"}
    response = api.change(rollout_id, {"failureGate": loose})
    assert (response.status, response.body["status"]) == (200, "paused")
    assert api.client.post(f"/rollouts/{rollout_id}/resume").body["status"] == "running"
    assert api.world.until_over(rollout_id).counts.completed == 20


def test_a_lower_limit_stops_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(40), monkeypatch)
    rollout_id = api.create({"maxInFlight": 10})
    api.world.ticks(1)
    assert api.world.rollout(rollout_id).counts.updating == 10
    api.change(rollout_id, {"maxInFlight": 3})
    in_flight = []
    while not api.world.rollout(rollout_id).is_over:
        api.world.tick()
        in_flight.append(api.world.rollout(rollout_id).counts.updating)
    assert max(in_flight[6:]) <= 3


def test_a_new_timeout_holds_for_devices_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(130, hangs=True), monkeypatch)
    rollout_id = api.create({"timeout": "PT10H", "retry": {"attempts": 1}})
    api.world.ticks(3)
    assert api.world.rollout(rollout_id).counts.updating == 130
    api.change(rollout_id, {"timeout": "PT2M"})
    api.world.ticks(20)
    assert api.world.rollout(rollout_id).counts.failed >= 1
    longer = Api(devices(3, hangs=True), monkeypatch)
    rollout_id = longer.create({"timeout": "PT1M", "retry": {"attempts": 1}})
    longer.change(rollout_id, {"timeout": "PT1H"})
    longer.world.ticks(30)
    assert longer.world.rollout(rollout_id).counts.failed == 0


@pytest.mark.parametrize(("soak", "then"), [("PT1M", "PT10H"), ("PT10H", "PT1M")])
def test_a_new_soak_holds_for_soaking_devices(
    monkeypatch: pytest.MonkeyPatch, soak: str, then: str
) -> None:
    api = Api(devices(130, stage=1), monkeypatch)
    rollout_id = api.create({"soak": soak})
    for _ in range(10):
        api.world.tick(timedelta(seconds=5))
        if api.world.rollout(rollout_id).counts.soaking > 100:
            break
    assert api.world.rollout(rollout_id).counts.soaking > 100
    api.change(rollout_id, {"soak": then})
    api.world.ticks(30)
    completed = api.world.rollout(rollout_id).counts.completed
    assert completed == (130 if then == "PT1M" else 0)
    shown = api.client.get(f"/rollouts/{rollout_id}/devices/d-000").body["explanation"]
    assert ("soak was changed" in shown) == (then == "PT10H")


def test_a_shut_window_stops_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(40), monkeypatch)
    rollout_id = api.create({"maxInFlight": 10})
    api.world.ticks(1)
    hour = NOON.hour
    window = {"start": f"{hour - 5:02}:00", "end": f"{hour - 4:02}:00", "timezone": "UTC"}
    api.change(rollout_id, {"window": window})
    api.world.ticks(20)
    counts = api.world.rollout(rollout_id).counts
    assert (counts.queued, counts.completed) == (30, 10)
    shown = api.client.get(f"/rollouts/{rollout_id}/devices?state=queued&limit=1").body["value"]
    path = f"/rollouts/{rollout_id}/devices/{shown[0]['deviceId']}"
    assert "outside the maintenance window" in api.client.get(path).body["explanation"]
    api.change(rollout_id, {"window": None})
    assert api.world.until_over(rollout_id).counts.completed == 40


def test_a_higher_share_fails_the_wave_that_had_completed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = [device(f"d-{n:03}", fault=Fault.FAILING if n < 10 else Fault.NONE) for n in range(30)]
    api = Api(fleet, monkeypatch)
    gate = {"acceptable": "80%", "unacceptable": "99%"}
    waves = [{"name": "first", "size": 20}, {"name": "second", "size": 5, "approval": True}]
    strategy = {"successShare": "10%", "failureGate": gate, "waves": waves}
    rollout_id = api.create(strategy)
    api.world.ticks(20)
    assert api.world.rollout(rollout_id).status_reason is not None
    changed = api.change(rollout_id, {"successShare": "99%"})
    assert changed.body["status"] == "paused"
    assert changed.body["statusReason"]["code"] == "successShare"
    assert changed.body["waves"][0]["status"] == "failed"


def test_without_its_approval_a_wave_opens_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(10), monkeypatch)
    rollout_id = api.create({"waves": [CANARY, {"name": "more", "size": 3, "approval": True}]})
    api.world.ticks(20)
    waiting = api.client.get(f"/rollouts/{rollout_id}").body
    assert waiting["statusReason"]["code"] == "awaitingApproval"
    waves = [CANARY, {"name": "more", "size": 4}]
    changed = api.change(rollout_id, {"waves": waves})
    assert (changed.body["statusReason"], changed.body["waves"][1]["status"]) == (None, "running")
    assert changed.body["waves"][1]["size"] == 4
    assert api.world.until_over(rollout_id).counts.completed == 10


def test_waves_that_have_opened_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(30), monkeypatch)
    rollout_id = api.create({"waves": [CANARY, {"name": "pilot", "size": 5}]})
    api.world.ticks(1)
    for waves in ([], [{"name": "canary", "size": 3}], [{"size": 2}]):
        response = api.change(rollout_id, {"waves": waves})
        assert response.status == 409
        assert "begin the list with them as they are: canary" in response.text
    response = api.change(rollout_id, {"waves": [CANARY, {"name": "half", "size": "50%"}]})
    found = [(wave["name"], wave["size"]) for wave in response.body["waves"]]
    assert found == [("canary", 2), ("half", 15), ("rest", 13)]
    assert api.events(rollout_id, "changed") == [
        "Changed by ada (waves pilot (5) + rest (23) -> half (15) + rest (13)): because"
    ]
    shown = api.client.get(f"/rollouts/{rollout_id}/devices?limit=30").body["value"]
    assert [item["wave"] for item in shown] == ["canary"] * 2 + ["half"] * 15 + ["rest"] * 13
    assert api.world.until_over(rollout_id).counts.completed == 30


def test_waves_that_have_all_opened_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(30), monkeypatch)
    rollout_id = api.create({})
    api.world.ticks(1)
    response = api.change(rollout_id, {"waves": [CANARY]})
    assert (response.status, "every wave has opened" in response.text) == (409, True)


def test_a_scheduled_rollout_gets_other_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(30), monkeypatch)
    rollout_id = api.create({"waves": [CANARY]}, startAt="2026-11-23T14:00:00Z")
    waves = [{"name": "one", "size": 1}, {"name": "two", "size": "50%", "approval": True}]
    response = api.change(rollout_id, {"waves": waves})
    assert [wave["size"] for wave in response.body["waves"]] == [1, 15, 14]
    assert response.body["status"] == "scheduled"
    api.world.pass_time(hours=2)
    api.world.ticks(20)
    assert api.world.rollout(rollout_id).waves[0].status == "completed"


def test_a_paused_rollout_is_changed_and_stays_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(30), monkeypatch)
    rollout_id = api.create({"waves": [CANARY]})
    api.client.post(f"/rollouts/{rollout_id}/pause", {"reason": "lunch"})
    response = api.change(rollout_id, {"maxInFlight": 2})
    assert (response.status, response.body["status"]) == (200, "paused")
    assert response.body["strategy"] != Strategy()


def test_the_gate_of_an_open_wave_is_shown_and_previewed(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = [device(f"d-{n:03}", fault=Fault.FAILING if n < 3 else Fault.NONE) for n in range(60)]
    api = Api(fleet, monkeypatch)
    loose = {"acceptable": "20%", "unacceptable": "90%"}
    rollout_id = api.create({"failureGate": loose, "maxInFlight": 12})
    while api.world.rollout(rollout_id).counts.failed < 3:
        api.world.tick()
    body = api.client.get(f"/rollouts/{rollout_id}").body
    (shown,) = body["gate"]
    assert (shown["wave"], shown["stratum"], shown["failed"]) == ("all", None, 3)
    assert shown["healthy"] == body["counts"]["completed"]
    assert shown["inFlight"] == body["counts"]["updating"]
    assert shown["ratio"] < shown["threshold"]
    path = f"/rollouts/{rollout_id}/gate/preview"
    before = api.world.rollout(rollout_id)
    strict = {"failureGate": {"acceptable": "0.01%", "unacceptable": "10%"}}
    found = api.client.post(path, strict)
    assert found.status == 200
    assert found.body["failureGate"]["confidence"] == 0.95
    (entry,) = found.body["gate"]
    assert entry["breached"]
    assert 1 <= entry["breachedAtFailure"] <= 3
    assert api.world.rollout(rollout_id) == before
    assert api.change(rollout_id, strict).body["status"] == "paused"


def test_a_preview_without_usable_rates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(devices(3), monkeypatch)
    path = f"/rollouts/{api.create({})}/gate/preview"
    for body, pointer in (
        ({}, "/failureGate"),
        ({"failureGate": {}}, "/failureGate"),
        ({"failureGate": {"unacceptable": "0.5%"}}, "/failureGate"),
        ({"failureGate": {"confidence": 2}}, "/failureGate/confidence"),
        ({"failureGate": {"rate": "5%"}}, "/failureGate/rate"),
    ):
        response = api.client.post(path, body)
        assert (response.status, response.body["errors"][0]["pointer"]) == (422, pointer)
    unknown = api.client.post(
        "/rollouts/98233500000000-0123456789ab/gate/preview", {"failureGate": {"confidence": 0.9}}
    )
    assert unknown.status == 404
