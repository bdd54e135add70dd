"""Compare the exported metrics with what the API shows."""

from datetime import timedelta
from typing import Any

import pytest

from functions.errors import HubUnavailableError, LostRaceError
from functions.rollouts.model.quotas import Tier, quotas
from functions.telemetry import metrics
from simulator.simulated_fleet.shares import Fault
from tests.functions.telemetry.conftest import App
from tests.functions.telemetry.test_traces import body
from tests.functions.use_cases.world import World, device, devices


def shown(app: App, rollout_id: str) -> Any:
    return app.client.get(f"/rollouts/{rollout_id}").body


def test_devices_by_state_are_the_counts_of_the_api(app: App) -> None:
    app.run_in(World([*devices(29), device("bad", fault=Fault.FAILING)]))
    rollout_id = app.post("/rollouts", body(app.world, successShare="90%"))["id"]
    for _ in range(40):
        app.tick()
        app.pipeline.flush()
        found = shown(app, rollout_id)
        counts = {
            point.attributes["rollout.device.state"]: point.value
            for point in app.collector.metrics["rollout.devices"]
        }
        assert counts.pop("updating") + counts.pop("soaking") == found["counts"]["updating"]
        assert {**counts, "total": 30, "updating": 0} == {**found["counts"], "updating": 0}
        if found["endedAt"]:
            break
    assert found["counts"]["completed"] == 29
    assert app.collector.value("rollout.starts") == 30


def test_the_gate_is_that_of_the_api(app: App) -> None:
    app.run_in(World([*devices(29, stage=60), device("bad", fault=Fault.FAILING)]))
    rollout_id = app.post("/rollouts", body(app.world, successShare="90%"))["id"]
    for _ in range(12):
        app.tick()
    app.pipeline.flush()
    [gate] = shown(app, rollout_id)["gate"]
    assert gate["failed"] == 1
    wave = {"rollout_id": rollout_id, "rollout_wave": gate["wave"]}
    assert app.collector.value("rollout.gate.ratio", **wave) == pytest.approx(gate["ratio"])
    threshold = app.collector.value("rollout.gate.threshold", **wave)
    assert threshold == pytest.approx(gate["threshold"])


def test_strata_have_gates_of_their_own(app: App) -> None:
    fleet = [device(f"d-{n}", stratum=f"m{n % 2}", stage=60) for n in range(20)]
    app.run_in(World(fleet))
    gate = {"acceptable": "1%", "unacceptable": "10%", "confidence": 0.95, "onBreach": "freeze"}
    app.post("/rollouts", body(app.world, stratifyBy=["tags.model"], failureGate=gate))
    for _ in range(4):
        app.tick()
    app.pipeline.flush()
    strata = [
        point.attributes["rollout.stratum"]
        for point in app.collector.metrics["rollout.gate.ratio"]
        if "rollout.stratum" in point.attributes
    ]
    assert len(strata) == 2


def test_budget_and_allowed_rate_are_those_of_the_tick(app: App) -> None:
    limits = quotas(Tier.S1, 1, 0.8, daily_share=0.3)
    app.run_in(World(devices(30), limits))
    app.post("/rollouts", body(app.world))
    app.tick()
    app.tick()
    app.pipeline.flush()
    stored = app.world.stores.budget.get()
    assert stored is not None
    left = limits.daily_messages - stored.record.messages_spent
    assert app.collector.value("rollout.hub.messages.left") == pytest.approx(left)
    assert left < limits.daily_messages
    allowed = limits.starts * stored.record.factor
    assert app.collector.value("rollout.starts.allowed") == pytest.approx(allowed)


def test_a_lease_that_nothing_claims_grows_old(app: App) -> None:
    app.run_in(World(devices(30)))
    app.post("/rollouts", body(app.world))  # it leases, and the queue's function does not run
    app.call(app.world.advance)
    with app.pipeline.telemetry.tick():
        app.world.pass_time(seconds=40)
    app.pipeline.flush()
    assert app.collector.value("rollout.lease.age") == pytest.approx(40, abs=2)


def test_a_tick_is_measured_with_its_outcome(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.run_in(World(devices(1)))
    app.tick()
    app.tick()

    def refuse(*_: Any, **__: Any) -> Any:
        raise HubUnavailableError("gone")

    monkeypatch.setattr("functions.triggers.background.advance", refuse)
    with pytest.raises(HubUnavailableError):
        app.tick()
    app.pipeline.flush()
    assert app.collector.value("rollout.tick.duration", outcome="success") == 2
    assert app.collector.value("rollout.tick.duration", outcome="failure") == 1
    assert 0 <= app.collector.value("rollout.tick.age") < 60


def test_a_process_that_does_not_tick_shows_no_gauge(app: App) -> None:
    app.run_in(World(devices(30)))
    app.post("/rollouts", body(app.world))
    app.pipeline.flush()
    assert "rollout.devices" not in app.collector.metrics
    assert "rollout.tick.age" not in app.collector.metrics
    with app.pipeline.telemetry.tick():  # it keeps none of the rollouts that it created
        pass
    app.pipeline.flush()
    assert "rollout.devices" not in app.collector.metrics


def test_a_process_that_stopped_ticking_shows_its_age_alone(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.run_in(World(devices(30)))
    app.post("/rollouts", body(app.world))
    app.tick()
    monkeypatch.setattr(metrics, "MAX_AGE_SECONDS", -1)
    app.pipeline.flush()
    assert "rollout.devices" not in app.collector.metrics
    assert app.collector.value("rollout.tick.age") >= 0


def test_an_ended_rollout_leaves_the_metrics_after_five_minutes(app: App) -> None:
    app.run_in(World(devices(1)))
    app.roll_out(app.post("/rollouts", body(app.world))["id"])
    app.tick()
    app.pipeline.flush()
    assert app.collector.value("rollout.devices", rollout_device_state="completed") == 1
    app.world.clock.now += timedelta(minutes=6)
    app.tick()
    app.pipeline.flush()
    assert "rollout.devices" not in app.collector.metrics


def test_a_lost_race_is_counted(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.run_in(World(devices(30)))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    stores = app.world.services.stores
    save, losses = stores.rollouts.save, iter([True, True])

    def lose(*arguments: Any, **named: Any) -> Any:
        if next(losses, False):
            raise LostRaceError("another was first")
        return save(*arguments, **named)

    monkeypatch.setattr(stores.rollouts, "save", lose)
    app.post(f"/rollouts/{rollout_id}/pause")
    app.pipeline.flush()
    assert app.collector.value("rollout.lost_races") == 2


def test_an_error_in_the_telemetry_ends_no_rollout(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    for name in ("export_updates", "export_ends", "export_invocation"):
        monkeypatch.setattr(f"functions.telemetry.spans.Spans.{name}", fail)
    app.run_in(World(devices(3)))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    app.roll_out(rollout_id)
    assert shown(app, rollout_id)["counts"]["completed"] == 3
