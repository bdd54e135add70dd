"""Receive OTLP on a loopback socket and decode it with the protocol's own package."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was exported. Ids are bytes."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    begin: int
    end: int
    attributes: Mapping[str, Any]
    events: Sequence[tuple[str, Mapping[str, Any]]]
    links: Sequence[tuple[bytes, bytes]]  # trace and span
    is_error: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A log line as it was exported."""

    text: str
    severity: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Point:
    """The latest value of a metric; of a histogram, the count."""

    value: float
    attributes: Mapping[str, Any]


@dataclass
class Collector:
    """Everything that was received."""

    spans: list[Span] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    metrics: dict[str, list[Point]] = field(default_factory=dict)  # of the latest export
    resources: list[Mapping[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    endpoint: str = ""

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def events(self, name: str) -> list[Line]:
        """Return the log lines with this `event`."""
        return [line for line in self.lines if line.attributes.get("event") == name]

    def value(self, metric: str, **attributes: str) -> float:
        """Return the only point of a metric with these attributes; `_` stands for a dot."""
        wanted = {name.replace("_", "."): value for name, value in attributes.items()}
        found = [
            point.value
            for point in self.metrics[metric]
            if wanted.items() <= point.attributes.items()
        ]
        assert len(found) == 1, (metric, attributes, found)
        return found[0]

    def receive(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        match path.rsplit("/", 1)[1]:
            case "traces":
                self._receive_spans(ExportTraceServiceRequest.FromString(body))
            case "logs":
                self._receive_lines(ExportLogsServiceRequest.FromString(body))
            case "metrics":
                self._receive_metrics(ExportMetricsServiceRequest.FromString(body))
            case _:
                raise AssertionError(path)

    def _receive_spans(self, request: ExportTraceServiceRequest) -> None:
        for part in request.resource_spans:
            self.resources.append(_attributes(part.resource.attributes))
            for span in (span for scope in part.scope_spans for span in scope.spans):
                self.spans.append(
                    Span(
                        name=span.name,
                        trace_id=span.trace_id,
                        span_id=span.span_id,
                        parent_id=span.parent_span_id,
                        begin=span.start_time_unix_nano,
                        end=span.end_time_unix_nano,
                        attributes=_attributes(span.attributes),
                        events=[(item.name, _attributes(item.attributes)) for item in span.events],
                        links=[(item.trace_id, item.span_id) for item in span.links],
                        is_error=span.status.code == span.status.STATUS_CODE_ERROR,
                    )
                )

    def _receive_lines(self, request: ExportLogsServiceRequest) -> None:
        for part in request.resource_logs:
            for line in (line for scope in part.scope_logs for line in scope.log_records):
                attributes = _attributes(line.attributes)
                self.lines.append(Line(line.body.string_value, line.severity_number, attributes))

    def _receive_metrics(self, request: ExportMetricsServiceRequest) -> None:
        self.metrics = {}
        for part in request.resource_metrics:
            for metric in (item for scope in part.scope_metrics for item in scope.metrics):
                data = getattr(metric, metric.WhichOneof("data") or "")
                self.metrics[metric.name] = [
                    Point(_value(point), _attributes(point.attributes))
                    for point in data.data_points
                ]


def _value(point: Any) -> float:
    if hasattr(point, "bucket_counts"):
        return float(point.count)
    return float(getattr(point, point.WhichOneof("value")))


def _attributes(pairs: Any) -> Mapping[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def run_collector() -> Iterator[Collector]:
    """Run a collector on a free port."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.receive(self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        collector.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with run_collector() as started:
        print("endpoint", started.endpoint, flush=True)
        threading.Event().wait()
