"""Receive what Microsoft's exporter sends to Application Insights, which the alerts query."""

import gzip
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.settings.environment import TelemetrySettings
from functions.telemetry.exporters import make_exporters
from functions.telemetry.pipeline import Pipeline
from simulator.simulated_fleet.shares import Fault
from tests.functions.telemetry.conftest import App
from tests.functions.telemetry.test_alert_conditions import assert_queried
from tests.functions.telemetry.test_traces import CANARY, body
from tests.functions.use_cases.world import World, devices

KEY = "00000000-0000-0000-0000-000000000001"
# Table in the workspace -> type in the protocol.
TYPES = {
    "AppTraces": "MessageData",
    "AppExceptions": "ExceptionData",
    "AppMetrics": "MetricData",
    "AppDependencies": "RemoteDependencyData",
}


@contextmanager
def run_ingestion() -> Iterator[tuple[str, list[Any]]]:
    """Run the ingestion endpoint on a free port. Yield its URL and what it received."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            items = json.loads(gzip.decompress(sent) if packed else sent)
            received.extend(items)
            counts = {"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}
            content = json.dumps(counts).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", received
        finally:
            server.shutdown()
            thread.join()


def rows(received: list[Any], table: str) -> list[Any]:
    """Return what becomes rows of a table of the workspace."""
    found = [
        item["data"]["baseData"] for item in received if item["data"]["baseType"] == TYPES[table]
    ]
    assert found, table
    return found


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn off the exporter's statistics about itself, for Microsoft and for the workspace."""
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_SDKSTATS_DISABLED", "true")


def make_pipeline(url: str) -> Pipeline:
    insights = f"InstrumentationKey={KEY};IngestionEndpoint={url}"
    return Pipeline(make_exporters(TelemetrySettings(insights=insights)))


@pytest.mark.usefixtures("quiet")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_log_line_with_a_python_exception_is_a_row_of_exceptions_and_of_no_other_table() -> None:
    with run_ingestion() as (url, received):
        pipeline = make_pipeline(url)
        try:
            int("no number")
        except ValueError:
            logging.getLogger("functions.here").exception("it failed", extra={"event": "x"})
        pipeline.shut_down()
    assert [item["data"]["baseType"] for item in received] == [TYPES["AppExceptions"]]
    (row,) = rows(received, "AppExceptions")
    assert row["exceptions"][0]["message"] == "it failed"  # becomes OuterMessage
    assert row["severityLevel"] in {3, "Error"}
    assert row["properties"]["event"] == "x"


@pytest.mark.usefixtures("quiet")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_application_insights_gets_the_fields_that_alerts_query(app: App) -> None:
    collector_pipeline = app.pipeline
    with run_ingestion() as (url, received):
        app.pipeline = make_pipeline(url)
        app.run_in(World(devices(30, fault=Fault.FAILING)))
        rollout_id = app.post("/rollouts", body(app.world, **CANARY))["id"]
        for _ in range(8):
            app.tick()
        app.pipeline.shut_down()
    app.pipeline = collector_pipeline
    lines = [
        row for row in rows(received, "AppTraces") if row["properties"].get("action") == "paused"
    ]
    assert len([line for line in lines if line["properties"]["event"] == "audit"]) == 1
    assert_queried("gate-breach", lines[0]["properties"])
    ticks = [
        row
        for row in rows(received, "AppMetrics")
        if row["metrics"][0]["name"] == "rollout.tick.duration"
    ]
    assert_queried("no-tick", ticks[0]["properties"])
    spans = rows(received, "AppDependencies")
    failed = [span for span in spans if span["name"] == "device update"]
    assert len(failed) == 5
    assert not any(span["success"] for span in failed)
    assert {span["properties"]["rollout.id"] for span in failed} == {rollout_id}
