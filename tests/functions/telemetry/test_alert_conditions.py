"""Cause the condition of each alert, and find the fields that its query reads in what is exported.

docs/telemetry.md lists the fields; the queries are in infra/alerts.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from functions import wiring
from functions.errors import TableMissingError
from functions.rollouts.model.outage import DAILY_QUOTA, Outage
from functions.rollouts.rollout import outages
from functions.triggers import background
from functions.use_cases.commit import Change, commit
from simulator.paths import REPOSITORY
from simulator.simulated_fleet.shares import Fault
from tests.functions.telemetry.collector import Line
from tests.functions.telemetry.conftest import App
from tests.functions.telemetry.test_traces import CANARY, body
from tests.functions.use_cases.world import World, devices

ERROR, FATAL = 17, 21
ALERTS = REPOSITORY / "infra" / "alerts"
_EQUAL = re.compile(r"Properties\.(\w+)\) == '(\w+)'")
_ONE_OF = re.compile(r"Properties\.(\w+)\) in \(([^)]*)\)")


def assert_queried(alert: str, attributes: Mapping[str, Any]) -> None:
    """Check that an alert's query reads no other fields, and looks for these values."""
    query, _, made = (ALERTS / f"{alert}.kql").read_text().partition("| extend ")
    fields = set(re.findall(r"Properties\.(\w+)", query))
    assert fields, query
    assert fields | set(re.findall(r"Properties\.(\w+)", made)) <= attributes.keys()
    wanted: dict[str, set[str]] = {name: set() for name in fields}
    for name, value in _EQUAL.findall(query):
        wanted[name].add(value)
    for name, values in _ONE_OF.findall(query):
        wanted[name].update(re.findall(r"'(\w+)'", values))
    for name, values in wanted.items():
        assert attributes[name] in values, (name, query)


def audited(app: App, action: str) -> list[Line]:
    app.pipeline.flush()
    return [line for line in app.collector.events("audit") if line.attributes["action"] == action]


@pytest.mark.parametrize(
    ("on_breach", "action", "code"),
    [
        ("pause", "paused", "failureGate"),
        ("cancel", "cancelled", "failureGate"),
        ("rollback", "cancelled", "failureGate"),
    ],
)
def test_a_gate_breach(app: App, on_breach: str, action: str, code: str) -> None:
    app.run_in(World(devices(30, fault=Fault.FAILING)))
    gate = {"acceptable": "1%", "unacceptable": "10%", "confidence": 0.95, "onBreach": on_breach}
    app.post("/rollouts", body(app.world, failureGate=gate, **CANARY))
    for _ in range(20):
        app.tick()
    [line] = audited(app, action)
    assert line.attributes["by"] == "rollout"
    assert line.attributes["reasonCode"] == code
    assert line.attributes["failed"] == 5
    assert_queried("gate-breach", line.attributes)


def test_a_last_wave_below_its_success_share(app: App) -> None:
    app.run_in(World(devices(3, fault=Fault.FAILING)))
    app.roll_out(app.post("/rollouts", body(app.world))["id"])
    [line] = audited(app, "failed")
    assert (line.attributes["by"], line.attributes["reasonCode"]) == ("rollout", "successShare")
    assert_queried("gate-breach", line.attributes)


def test_a_batch_that_is_given_up(app: App) -> None:
    app.run_in(World(devices(30)))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    [batch] = app.world.batches()
    app.take_message(background.give_up_batch, batch)
    app.pipeline.flush()
    [line] = app.collector.events("batchGivenUp")
    assert line.severity == ERROR
    assert line.attributes == {"event": "batchGivenUp", "rolloutId": rollout_id, "batch": 0}
    assert_queried("batch-given-up", line.attributes)
    assert len(app.collector.named("give_up_batch")) == 1


def test_the_messages_of_the_day_are_used_up(app: App) -> None:
    app.run_in(World(devices(30)))
    rollout_id = app.post("/rollouts", body(app.world))["id"]
    services, now = app.world.services, app.world.now
    snapshot = services.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    outage = Outage(code=DAILY_QUOTA, message="No message is left.", since=now)
    commit(services, snapshot, lambda _, item: Change(outages.begin(item.rollout, now, outage)))
    [line] = audited(app, "outageBegan")
    assert line.attributes["reasonCode"] == "dailyQuota"
    assert_queried("daily-quota", line.attributes)


def test_a_missing_table(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.run_in(World(devices(1)))

    def refuse() -> Any:
        raise TableMissingError("gone")

    monkeypatch.setattr(wiring, "services", refuse)
    with pytest.raises(TableMissingError):
        app.tick()
    app.pipeline.flush()
    [line] = app.collector.events("tableMissing")
    assert line.severity == FATAL
    assert_queried("table-missing", line.attributes)
    [failed] = app.collector.events("tickFailed")
    assert failed.attributes["errorType"] == "TableMissingError"
    outcomes = [p.attributes for p in app.collector.metrics["rollout.tick.duration"]]
    assert outcomes == [{"outcome": "failure"}]


def test_a_tick_that_succeeds(app: App) -> None:
    app.run_in(World(devices(1)))
    app.tick()
    app.pipeline.flush()
    assert "Name == 'rollout.tick.duration'" in (ALERTS / "no-tick.kql").read_text()
    [point] = app.collector.metrics["rollout.tick.duration"]
    assert_queried("no-tick", point.attributes)
