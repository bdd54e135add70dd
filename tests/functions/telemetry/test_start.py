"""Check which destination counts, and that the app works without one and with a broken one."""

import logging

import pytest

from functions.settings import INSIGHTS, OTLP_ENDPOINT, TelemetrySettings, read_telemetry
from functions.telemetry.exporters import make_exporters
from functions.telemetry.pipeline import Pipeline
from functions.telemetry.port import NO_TELEMETRY
from functions.telemetry.start import start
from tests.functions.telemetry.conftest import App
from tests.functions.telemetry.test_traces import body
from tests.functions.use_cases.world import World, devices

KEY = "00000000-0000-0000-0000-000000000000"
CONNECTION = f"InstrumentationKey={KEY};IngestionEndpoint=https://127.0.0.1:1/"


@pytest.mark.parametrize(
    ("environment", "destination"),
    [
        ({}, None),
        ({INSIGHTS: "", OTLP_ENDPOINT: ""}, None),
        ({OTLP_ENDPOINT: "http://localhost:4318"}, OTLP_ENDPOINT),
        ({INSIGHTS: CONNECTION, OTLP_ENDPOINT: "http://localhost:4318"}, INSIGHTS),
    ],
)
def test_application_insights_comes_first(
    environment: dict[str, str], destination: str | None
) -> None:
    assert read_telemetry(environment).destination == destination


def test_the_connection_string_is_not_shown() -> None:
    assert KEY not in repr(TelemetrySettings(insights=CONNECTION))


def test_application_insights_has_exporters_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_SDKSTATS_DISABLED", "true")
    exporters = make_exporters(TelemetrySettings(insights=CONNECTION))
    kinds = [type(item).__name__ for item in (exporters.spans, exporters.metrics, exporters.logs)]
    assert kinds == [
        "AzureMonitorTraceExporter", "AzureMonitorMetricExporter", "AzureMonitorLogExporter",
    ]  # fmt: skip
    for exporter in (exporters.spans, exporters.metrics, exporters.logs):
        exporter.shutdown()


def test_an_invalid_destination_is_logged_without_its_value(
    caplog: pytest.LogCaptureFixture,
) -> None:
    invalid = TelemetrySettings(insights="InstrumentationKey=secret-and-no-guid")
    assert start(invalid) is NO_TELEMETRY
    [line] = [item for item in caplog.records if item.levelno == logging.ERROR]
    assert INSIGHTS in line.getMessage()
    assert "secret" not in caplog.text


def test_names_of_the_standard_settings_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.telemetry.pipeline import _make_resource  # noqa: PLC0415

    assert _make_resource().attributes["service.name"] == "fleet-rollout"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "rollouts-west")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
    named = _make_resource().attributes
    assert named["service.name"] == "rollouts-west"
    assert named["deployment.environment.name"] == "prod"
    assert named["service.instance.id"]


def test_an_unreachable_collector_stops_no_rollout(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OTLP_ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    unreachable = Pipeline(make_exporters(TelemetrySettings(has_otlp_endpoint=True)))
    reachable, app.pipeline = app.pipeline, unreachable
    try:
        app.run_in(World(devices(3)))
        app.roll_out(app.post("/rollouts", body(app.world))["id"])
    finally:
        app.pipeline = reachable
        unreachable.shut_down()


def test_the_log_handler_leaves_with_its_pipeline(app: App) -> None:
    logger = logging.getLogger("functions")
    assert logger.isEnabledFor(logging.INFO)
    app.pipeline.shut_down()
    assert not logger.handlers
    assert logger.level == logging.NOTSET
