"""Alerts and workbook read what the app exports, and the runbook explains each alert."""

import json
import re

import pytest
import typer.main
from lark.exceptions import LarkError
from typer.core import TyperGroup

from fleet.app import app
from functions.wire.states import StatesSchema
from tests.infra.alert_rules import Alert, read_alerts
from tests.infra.kql import COLUMNS, Query
from tests.infra.template import INFRA, BicepFile
from tests.infra.workflow_rules import REPOSITORY

ALERTS = read_alerts(INFRA)
ALERTS_FILE = BicepFile(INFRA / "modules/alerts.bicep")
WORKBOOK = json.loads((INFRA / "workbook.json").read_text())
QUERIES = {
    item["name"]: item["content"]["query"] for item in WORKBOOK["items"] if item["type"] == 3
}
TELEMETRY = (REPOSITORY / "docs/telemetry.md").read_text()
RUNBOOK = (REPOSITORY / "docs/runbook.md").read_text()
NAMED = frozenset(re.findall(r"`([\w.]+)`", TELEMETRY))


def test_the_six_alerts_are_deployed_each_with_a_query_of_its_own() -> None:
    assert [alert.name for alert in ALERTS] == [
        "no-tick",
        "table-missing",
        "hub-refuses-access",
        "gate-breach",
        "batch-given-up",
        "daily-quota",
    ]
    assert {path.stem for path in (INFRA / "alerts").iterdir()} == {item.name for item in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_reads_fields_that_are_exported(alert: Alert) -> None:
    Query(alert.query)
    assert _names(alert.query) <= NAMED


@pytest.mark.parametrize(
    "query",
    [
        "AppTraces | where tostring(Propertys.event) == 'x'",
        "AppTrace | where tostring(Properties.event) == 'x'",
        "AppTraces | were tostring(Properties.event) == 'x'",
        "AppTraces | where tostring(Properties.event) = 'x'",
    ],
)
def test_a_broken_query_is_found(query: str) -> None:
    with pytest.raises((LarkError, KeyError)):
        Query(query)


@pytest.mark.parametrize(
    ("fields", "fires"),
    [
        ({"event": "hubRefusesAccess"}, True),
        ({"event": "audit", "action": "outageBegan", "reasonCode": "hubRefusesAccess"}, True),
        ({"event": "audit", "action": "outageEnded", "reasonCode": "hubRefusesAccess"}, False),
        ({"event": "audit", "action": "outageBegan", "reasonCode": "hubUnavailable"}, False),
        ({}, False),
    ],
)
def test_a_hub_that_refuses_is_an_alert_with_and_without_a_rollout(
    fields: dict[str, str], *, fires: bool
) -> None:
    (alert,) = (item for item in ALERTS if item.name == "hub-refuses-access")
    assert alert.is_firing([("AppTraces", {"Properties": fields})]) is fires


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("gate-breach", {"event": "audit", "by": "rollout", "action": "waveFailed"}),
        ("batch-given-up", {"event": "batchGivenUp"}),
    ],
)
def test_a_second_rollout_is_an_alert_of_its_own(name: str, fields: dict[str, str]) -> None:
    """An alert that is active sends no second mail (Microsoft Learn, stateful alerts)."""
    (alert,) = (item for item in ALERTS if item.name == name)
    rows = [("AppTraces", {"Properties": fields | {"rolloutId": each}}) for each in "abb"]
    assert alert.is_split
    assert alert.firing_for(rows) == {"a", "b"}
    assert "dimensions: alert.split ? [{ name: 'Rollout', " in ALERTS_FILE.text
    assert {item.name for item in ALERTS if item.is_split} == {"gate-breach", "batch-given-up"}


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_of_the_workbook_reads_what_is_exported(name: str) -> None:
    query = QUERIES[name]
    table = query.split("\n")[0]
    assert table in COLUMNS
    assert _names(query) <= NAMED
    columns = set(re.findall(r"\b(?:sum|min|max|maxif|sumif)\((\w+)", query))
    made = set(re.findall(r"\b(\w+) =(?!=)", query))
    assert columns <= COLUMNS[table] | made


def test_the_workbook_shows_every_metric() -> None:
    section = TELEMETRY.split("\n## Metrics")[1].split("\n## ")[0]
    metrics = set(re.findall(r"^\| `(rollout[\w.]+)` \|", section, re.MULTILINE))
    assert len(metrics) > 8
    assert metrics == {name for query in QUERIES.values() for name in _metrics(query)}


def test_the_parts_of_the_workbook_have_names_of_their_own() -> None:
    names = [item["name"] for item in WORKBOOK["items"]]
    assert len(set(names)) == len(names)


def test_the_runbook_has_each_alert_the_worst_first_with_something_to_check_and_to_do() -> None:
    sections = re.findall(r"^## ([\w-]+)\n+(.*?)(?=^## )", RUNBOOK, re.MULTILINE | re.DOTALL)
    found = [(name, text) for name, text in sections if name in {item.name for item in ALERTS}]
    assert [name for name, _ in found] == [alert.name for alert in ALERTS]
    assert [alert.severity for alert in ALERTS] == sorted(alert.severity for alert in ALERTS)
    for alert, (_, text) in zip(ALERTS, found, strict=True):
        assert text.startswith(f"*Severity {alert.severity}. ")
        assert "```sh\n" in text
        assert "\n| " in text or "\n1. " in text


def test_every_variable_of_the_runbooks_commands_is_set_in_it() -> None:
    commands = "\n".join(_commands())
    outputs = set(BicepFile(INFRA / "main.bicep").outputs)
    listed = re.search(r"\^\(([A-Z_|]+)\)=", commands)
    assert listed is not None
    read = set(listed[1].split("|"))
    assert read <= outputs
    made = set(re.findall(r"^ *(?:export )?([A-Z_]+)=", commands, re.MULTILINE))
    used = set(re.findall(r"\$\{?([A-Z_]+)", commands))
    assert used - read - made == {"IOTHUB_NAME"}
    assert "Set `IOTHUB_NAME`" in RUNBOOK


def test_an_operator_may_see_the_tables_while_the_runbook_uses_them() -> None:
    """No key is accepted, and the lock on the account keeps its role assignments, too."""
    commands = [line.strip() for line in "\n".join(_commands()).splitlines()]
    role = '--assignee "$ME" --role "Storage Table Data Contributor" --scope "$GROUP_ID"'
    first, last = (
        commands.index(f"az role assignment {verb} {role}") for verb in ("create", "delete")
    )
    used = [number for number, line in enumerate(commands) if "--auth-mode login" in line]
    assert len(used) > 1
    assert first < min(used) <= max(used) < last


def test_every_fleet_command_of_the_runbook_exists_with_its_options() -> None:
    text = "\n".join([*_commands(), *re.findall(r"`(fleet [^`]+)`", RUNBOOK)])
    found = re.findall(r"^ *(fleet .*)", text, re.MULTILINE)
    assert len(found) > 8
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    known = group.commands
    for line in found:
        name, options = line.split()[1], re.findall(r" (--[\w-]+)", line.split("#")[0])
        assert name in known, line
        accepted = {flag for parameter in known[name].params for flag in parameter.opts}
        assert set(options) <= accepted, line


def test_the_queries_of_the_runbook_read_known_tables_and_fields() -> None:
    queries = re.findall(r'"((?:union )?App\w+(?:, App\w+)* \|[^"]*)"', RUNBOOK)
    assert len(queries) >= 5
    for query in queries:
        assert set(re.findall(r"\bApp[A-Z]\w+", query)) <= {*COLUMNS, "AppExceptions"}
        assert _names(query) <= NAMED


def test_the_runbook_lists_log_lines_with_a_python_exception_too() -> None:
    """Microsoft's exporter makes exceptions of them: see test_insights.py."""
    question = RUNBOOK.split("**What did the app log?**")[1].split("```")[1]
    assert "union AppTraces, AppExceptions |" in question


def test_the_runbook_finds_the_last_tick_where_another_process_ticks() -> None:
    """The age of the last tick in `/health` is null on Flex Consumption."""
    section = RUNBOOK.split("## no-tick")[1].split("\n## ")[0]
    assert "ages.tick" not in section
    (field,) = re.findall(r'"\$FLEET_API/rollouts/ROLLOUT/states" \| grep -o \'"(\w+)"', section)
    assert StatesSchema.model_fields["ticked_at"].alias == field


def _commands() -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", RUNBOOK, re.MULTILINE | re.DOTALL)


def _metrics(query: str) -> set[str]:
    return set(re.findall(r"'(rollout\.[\w.]+)'", re.sub(r"Properties\['[^']*'\]", "", query)))


def _names(query: str) -> set[str]:
    """Return the metrics and the fields of `Properties` that a query names."""
    fields = re.findall(r"Properties(?:\.(\w+)|\['([^']+)'\])", query)
    return _metrics(query) | {dotted or plain for plain, dotted in fields}
