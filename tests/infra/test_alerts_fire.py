"""Cause the condition of each alert, and evaluate its query on the telemetry that is exported.

The rows are what Microsoft's exporter for Azure Monitor makes of a log line and of a metric, as far
as the queries read them. Which rows Application Insights stores was never tried.
"""

from typing import Any

import pytest

from functions import wiring
from functions.errors import TableMissingError
from functions.triggers import background
from simulator.simulated_fleet.shares import Fault
from tests.functions.telemetry.collector import Collector
from tests.functions.telemetry.conftest import App
from tests.functions.telemetry.conftest import app as app  # noqa: PLC0414 - fixtures
from tests.functions.telemetry.conftest import collector as collector  # noqa: PLC0414
from tests.functions.telemetry.test_traces import CANARY, body
from tests.functions.use_cases.test_daily_quota import SMALL
from tests.functions.use_cases.test_frozen_strata import fleet
from tests.functions.use_cases.test_refused_access import S1, refuse, shown
from tests.functions.use_cases.world import World, devices
from tests.infra.alert_rules import read_alerts
from tests.infra.kql import Row
from tests.infra.template import INFRA

ALERTS = read_alerts(INFRA)
GATE = {"acceptable": "1%", "unacceptable": "10%", "confidence": 0.95}


def _rows(found: Collector) -> list[tuple[str, Row]]:
    lines = [
        ("AppTraces", {"Message": line.text, "Properties": _texts(line.attributes)})
        for line in found.lines
    ]
    metrics = [
        ("AppMetrics", {"Name": name, "Sum": point.value, "Properties": _texts(point.attributes)})
        for name, points in found.metrics.items()
        for point in points
    ]
    return [*lines, *metrics]


def _texts(attributes: Any) -> dict[str, str]:
    """Return attributes as Azure Monitor stores them: as texts."""
    return {name: str(value) for name, value in attributes.items()}


def _firing(app: App) -> set[str]:
    app.pipeline.flush()
    return {alert.name for alert in ALERTS if alert.is_firing(_rows(app.collector))}


def test_none_fires_in_a_rollout_without_failures(app: App) -> None:
    app.run_in(World(devices(30)))
    app.roll_out(app.post("/rollouts", body(app.world))["id"])
    assert _firing(app) == set()


def test_none_fires_for_what_an_operator_does(app: App) -> None:
    app.run_in(World(devices(30)))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    app.tick()
    for command in ("pause", "resume", "cancel"):
        app.post(f"/rollouts/{rollout_id}/{command}", {"by": "ada", "reason": "a test"})
    app.tick()
    assert _firing(app) == set()


@pytest.mark.parametrize("on_breach", ["pause", "cancel", "rollback"])
def test_a_breach_of_the_failure_gate(app: App, on_breach: str) -> None:
    app.run_in(World(devices(30, fault=Fault.FAILING)))
    app.post("/rollouts", body(app.world, failureGate={**GATE, "onBreach": on_breach}, **CANARY))
    for _ in range(20):
        app.tick()
    assert _firing(app) == {"gate-breach"}


def test_a_breach_of_a_stratum(app: App) -> None:
    app.run_in(World(fleet(30, "good", "bad", failing="bad")))
    gate = {**GATE, "onBreach": "freeze"}
    strategy = {"failureGate": gate, "stratifyBy": ["tags.model"], "maxInFlight": 12}
    app.post("/rollouts", body(app.world, **strategy))
    for _ in range(30):
        app.tick()
    assert _firing(app) == {"gate-breach"}


def test_a_last_wave_below_its_success_share(app: App) -> None:
    app.run_in(World(devices(3, fault=Fault.FAILING)))
    app.roll_out(app.post("/rollouts", body(app.world))["id"])
    assert _firing(app) == {"gate-breach"}


def test_a_wave_without_evidence(app: App) -> None:
    app.run_in(World(devices(30, online=False)))
    app.roll_out(app.post("/rollouts", body(app.world, offline={"policy": "skip"}))["id"])
    assert _firing(app) == {"gate-breach"}


def test_a_batch_that_is_given_up(app: App) -> None:
    app.run_in(World(devices(300)))
    app.post("/rollouts", body(app.world))
    batch, *others = app.world.batches()
    for other in others:
        app.take_message(background.dispatch_batch, other)
    app.take_message(background.give_up_batch, batch)
    app.tick()
    assert _firing(app) == {"batch-given-up"}


def test_a_day_whose_messages_are_used_up(app: App) -> None:
    app.run_in(World(devices(100), SMALL))
    app.post("/rollouts", body(app.world))
    for _ in range(60):
        app.tick()
    assert _firing(app) == {"daily-quota"}


def test_a_hub_that_refuses_the_app(app: App) -> None:
    app.run_in(World(devices(100), S1))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    refuse(app.world)
    for _ in range(12):
        app.tick()
    assert shown(app.world.rollout(rollout_id)) == "hubRefusesAccess"
    assert _firing(app) == {"hub-refuses-access"}


def test_a_missing_table(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.run_in(World(devices(1)))

    def refuse() -> Any:
        raise TableMissingError("gone")

    monkeypatch.setattr(wiring, "services", refuse)
    with pytest.raises(TableMissingError):
        app.tick()
    assert _firing(app) == {"table-missing", "no-tick"}


def test_a_timer_that_does_not_run(app: App) -> None:
    app.run_in(World(devices(1)))
    assert _firing(app) == {"no-tick"}
