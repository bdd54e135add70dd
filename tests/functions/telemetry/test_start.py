"""Check which destination counts, and that the app works without one and with a broken one."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.settings.environment import TelemetrySettings, read_telemetry
from functions.settings.names import INSIGHTS, OTLP_ENDPOINT
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


@pytest.mark.parametrize(
    "malformed",
    [
        "rubbish", ";;;", "=", "InstrumentationKey=", "IngestionEndpoint=https://example.com/",
        f"InstrumentationKey={KEY};IngestionEndpoint", f"InstrumentationKey={KEY[:-1]}", KEY,
        "\u00fc=\u00fc", "A" * 10_000,
    ],
)  # fmt: skip
def test_a_malformed_connection_string_stops_no_app_and_is_logged(
    malformed: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert start(TelemetrySettings(insights=malformed)) is NO_TELEMETRY
    assert f"No telemetry is exported: {INSIGHTS}" in caplog.text


@pytest.mark.parametrize(
    "name", ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_METRIC_EXPORT_INTERVAL"]
)
def test_an_invalid_standard_setting_stops_no_app_and_is_logged(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(OTLP_ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv(name, "-1")
    assert start(TelemetrySettings(has_otlp_endpoint=True)) is NO_TELEMETRY
    assert "or a standard setting of OpenTelemetry is invalid (ValueError)" in caplog.text


@contextmanager
def run_bad_collector(status: int | None) -> Iterator[str]:
    """Run a collector that responds with an error or, with None, never. Yield its URL."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if status is None:
                stop.wait()
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            stop.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("endpoint", [None, 500, 503, "no url"])
def test_a_bad_collector_delays_no_rollout_and_fills_no_memory(
    endpoint: int | str | None, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "32")
    status = None if isinstance(endpoint, str) else endpoint
    with run_bad_collector(status) as url:
        monkeypatch.setenv(OTLP_ENDPOINT, endpoint if isinstance(endpoint, str) else url)
        pipeline = Pipeline(make_exporters(TelemetrySettings(has_otlp_endpoint=True)))
        reachable, app.pipeline = app.pipeline, pipeline
        try:
            app.run_in(World(devices(150)))
            app.roll_out(app.post("/rollouts", body(app.world))["id"])
            waiting = pipeline._spans._batch_processor._queue  # type: ignore[attr-defined]  # noqa: SLF001
            assert len(waiting) <= 64
            begun = time.monotonic()
            pipeline.telemetry.count_throttled()
            assert time.monotonic() - begun < 0.1
        finally:
            app.pipeline = reachable
            pipeline.shut_down()


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
