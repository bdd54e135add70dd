"""Check that a rollout is one trace, from POST to its last device, over all invocations."""

from collections import Counter
from typing import Any

import pytest

from simulator.simulated_fleet.shares import Fault
from tests.functions.telemetry.collector import Span
from tests.functions.telemetry.conftest import App
from tests.functions.use_cases.world import World, device, devices

SECRET = "c2VjcmV0c2lnbmF0dXJl"
CANARY = {"waves": [{"name": "canary", "size": 5}, {"name": "rest", "size": 25}]}
FIRMWARE = {"version": "2.4.0", "packageUri": f"https://packages.example/f.bin?sig={SECRET}"}


def body(world: World, **strategy: Any) -> dict[str, Any]:
    ids = list(world.hub.devices)
    return {"firmware": FIRMWARE, "target": {"deviceIds": ids}, "strategy": strategy}


def by_device(spans: list[Span]) -> dict[str, Span]:
    return {str(span.attributes["device.id"]): span for span in spans}


def test_thirty_devices_are_one_trace_over_http_timer_and_queue(app: App) -> None:
    app.run_in(World(devices(30)))
    created = app.post("/rollouts", body(app.world, **CANARY))
    app.roll_out(created["id"])
    app.pipeline.flush()
    spans = app.collector.spans
    assert len({span.trace_id for span in spans}) == 1
    [rollout], named = app.collector.named("rollout"), Counter(span.name for span in spans)
    assert named["device update"] == 30
    assert set(named) == {
        "rollout", "wave", "device update", "create_rollout", "advance_rollouts", "dispatch_batch",
    }  # fmt: skip
    triggers = {span.name: span.attributes.get("faas.trigger") for span in spans}
    assert triggers["create_rollout"] == "http"
    assert triggers["advance_rollouts"] == "timer"
    assert triggers["dispatch_batch"] == "pubsub"
    assert rollout.parent_id == b""
    assert rollout.attributes["cicd.pipeline.run.id"] == created["id"]
    assert rollout.attributes["cicd.pipeline.result"] == "success"
    assert not rollout.is_error
    known = {span.span_id: span for span in spans}
    assert len(known) == len(spans)
    for span in spans:
        parent = known.get(span.parent_id)
        assert parent is not None or span is rollout
        if span.name == "device update":
            assert parent is not None
            assert parent.name == "wave"
            assert parent.attributes["rollout.wave"] == span.attributes["rollout.wave"]
            assert rollout.begin <= span.begin < span.end <= rollout.end
        elif span is not rollout:
            assert parent is rollout


def test_an_update_is_linked_to_the_batch_that_sent_it_and_the_tick_that_ended_it(app: App) -> None:
    app.run_in(World(devices(30)))
    app.roll_out(app.post("/rollouts", body(app.world))["id"])
    app.pipeline.flush()
    known = {(span.trace_id, span.span_id): span for span in app.collector.spans}
    sent = Counter(
        known[link].attributes["device.id"]
        for batch in app.collector.named("dispatch_batch")
        for link in batch.links
        if link in known
    )
    assert sent == Counter(dict.fromkeys(app.world.hub.devices, 1))
    for update in app.collector.named("device update"):
        assert [known[link].name for link in update.links] == ["advance_rollouts"]


def test_an_invocation_is_linked_to_the_span_of_the_host(app: App) -> None:
    app.run_in(World(devices(3)))
    app.post("/rollouts", body(app.world))
    app.pipeline.flush()
    [span] = app.collector.named("create_rollout")
    assert ((1).to_bytes(16), (1).to_bytes(8)) in span.links


def test_commands_and_decisions_are_events_of_the_invocation_that_stored_them(app: App) -> None:
    app.run_in(World(devices(30, fault=Fault.FAILING)))
    path = f"/rollouts/{app.post('/rollouts', body(app.world, **CANARY))['id']}"
    app.post(f"{path}/pause", {"by": "ann", "reason": "a look"})
    app.post(f"{path}/resume")
    for _ in range(30):
        app.tick()
    app.pipeline.flush()
    [pause] = app.collector.named("pause_rollout")
    [(action, details)] = pause.events
    assert (action, details["by"]) == ("paused", "ann")
    assert "a look" in details["message"]
    breach = [
        details
        for span in app.collector.named("advance_rollouts")
        for action, details in span.events
        if action == "paused"
    ]
    assert [item["reasonCode"] for item in breach] == ["failureGate"]


def test_a_failed_device_and_its_rollout_are_errors_with_their_codes(app: App) -> None:
    app.run_in(World([*devices(4), device("bad", fault=Fault.FAILING)]))
    app.roll_out(app.post("/rollouts", body(app.world, successShare="100%"))["id"])
    app.pipeline.flush()
    found = by_device(app.collector.named("device update"))
    assert found["bad"].is_error
    assert found["bad"].attributes["error.type"] == "reported"
    assert not found["d-000"].is_error
    [rollout] = app.collector.named("rollout")
    assert rollout.is_error
    assert rollout.attributes["cicd.pipeline.result"] == "failure"


def test_a_failed_update_has_its_states_as_events(app: App) -> None:
    app.run_in(World([device("good"), device("bad", fault=Fault.FAILING)]))
    app.roll_out(app.post("/rollouts", body(app.world))["id"])
    app.pipeline.flush()
    found = by_device(app.collector.named("device update"))
    states = [name for name, _ in found["bad"].events]
    assert (states[0], states[-1]) == ("queued", "failed")
    assert found["good"].events == []


def test_of_a_large_rollout_all_failed_and_slow_devices_and_a_sample_are_exported(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.telemetry.spans.SAMPLED_DEVICES", 40)
    fleet = [*devices(390), device("bad", fault=Fault.FAILING), device("slow", stage=100)]
    app.run_in(World(fleet))
    app.roll_out(app.post("/rollouts", body(app.world, successShare="90%"))["id"])
    app.pipeline.flush()
    found = by_device(app.collector.named("device update"))
    assert {"bad", "slow"} <= set(found)
    assert 15 <= len(found) <= 80  # 40 are expected; the ids choose
    exported = {span.span_id for span in found.values()}
    linked = [link for batch in app.collector.named("dispatch_batch") for _, link in batch.links]
    assert len(exported.intersection(linked)) > 10
    assert len(linked) < 100  # not one for each device


def test_a_retried_device_has_a_span_for_each_end(app: App) -> None:
    app.run_in(World([device("a"), device("b", fault=Fault.FAILING)]))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    app.roll_out(rollout_id)
    app.world.hub.devices["b"].fault = Fault.NONE
    app.post(f"/rollouts/{rollout_id}/retry")
    app.roll_out(rollout_id)
    app.pipeline.flush()
    ends = [
        (span.attributes["rollout.attempt"], span.attributes["rollout.device.state"])
        for span in app.collector.named("device update")
        if span.attributes["device.id"] == "b"
    ]
    assert ends == [(1, "failed"), (2, "completed")]
    first, second = app.collector.named("rollout")
    assert (first.trace_id, first.span_id) == (second.trace_id, second.span_id)
    assert first.end < second.end
    assert not second.is_error


def test_an_operators_cancel_is_no_error(app: App) -> None:
    app.run_in(World(devices(2)))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    app.post(f"/rollouts/{rollout_id}/cancel")
    app.roll_out(rollout_id)
    app.pipeline.flush()
    [rollout] = app.collector.named("rollout")
    assert rollout.attributes["cicd.pipeline.result"] == "cancellation"
    assert not rollout.is_error
    assert len(app.collector.named("cancel_rollout")) == 1


def test_a_device_that_completes_late_has_another_span(app: App) -> None:
    app.run_in(World([device("a", stage=400)]))
    strategy = {"timeout": "PT10M", "retry": {"attempts": 1}}
    rollout_id = app.post("/rollouts", body(app.world, **strategy))["id"]
    app.roll_out(rollout_id)
    for _ in range(60):
        app.world.pass_time(minutes=1)
        app.tick()
    app.pipeline.flush()
    failed, completed = app.collector.named("device update")
    assert failed.attributes["rollout.device.state"] == "failed"
    assert completed.attributes["rollout.device.state"] == "completed"
    assert failed.span_id != completed.span_id
    assert failed.parent_id == completed.parent_id


def test_an_invocation_that_fails_is_an_error(app: App) -> None:
    app.run_in(World(devices(2)))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    rollout = app.world.rollout(rollout_id)

    def fail() -> None:
        with app.pipeline.telemetry.invocation("dispatch_batch", "pubsub"):
            app.pipeline.telemetry.record_change(rollout, rollout, rollout.audit.events[:1])
            raise LookupError("with a secret")

    with pytest.raises(LookupError):
        app.call(fail)
    app.pipeline.flush()
    [span] = app.collector.named("dispatch_batch")
    assert span.is_error
    assert span.attributes["error.type"] == "LookupError"
    assert b"with a secret" not in b"".join(app.collector.bodies)


def test_a_rollback_is_linked_to_the_rollout_that_it_undoes(app: App) -> None:
    app.run_in(World(devices(2)))
    older = {"firmware": {**FIRMWARE, "version": "2.3.9"}}
    earlier = app.post("/rollouts", {**body(app.world), **older})
    app.roll_out(earlier["id"])
    later = app.post("/rollouts", body(app.world))
    app.roll_out(later["id"])
    rollback = app.post(f"/rollouts/{later['id']}/rollback")
    app.roll_out(rollback["id"])
    app.pipeline.flush()
    by_id = {span.attributes["rollout.id"]: span for span in app.collector.named("rollout")}
    undone = by_id[later["id"]]
    assert (undone.trace_id, undone.span_id) in by_id[rollback["id"]].links


def test_no_export_holds_a_secret(app: App) -> None:
    app.run_in(World([*devices(29), device("bad", fault=Fault.FAILING)]))
    app.roll_out(app.post("/rollouts", body(app.world))["id"])
    app.pipeline.flush()
    exported = b"".join(app.collector.bodies)
    assert b"create_rollout" in exported
    assert b"audit event" in exported
    assert SECRET.encode() not in exported
    assert b"packages.example" not in exported
