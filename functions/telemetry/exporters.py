"""Make the exporters of a destination: Application Insights, or any collector by OTLP.

They read further standard settings themselves (docs/telemetry.md), among them
`APPLICATIONINSIGHTS_AUTHENTICATION_STRING`, with which the app signs in as its identity.
"""

from dataclasses import dataclass

from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

from functions.settings.environment import TelemetrySettings


@dataclass(frozen=True, slots=True)
class Exporters:
    """One exporter for each kind of telemetry."""

    spans: SpanExporter
    metrics: MetricExporter
    logs: LogRecordExporter


def make_exporters(settings: TelemetrySettings) -> Exporters:
    """Return the exporters. Each package is imported only for its destination."""
    if settings.insights is not None:
        return _make_insights_exporters(settings.insights)
    return _make_otlp_exporters()


def _make_insights_exporters(connection_string: str) -> Exporters:
    from azure.monitor.opentelemetry.exporter import (  # noqa: PLC0415
        AzureMonitorLogExporter,
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )

    # On Azure Functions a disk does not outlive its instance, so nothing is kept on it.
    options = {"connection_string": connection_string, "disable_offline_storage": True}
    return Exporters(
        spans=AzureMonitorTraceExporter(**options),
        metrics=AzureMonitorMetricExporter(**options),
        logs=AzureMonitorLogExporter(**options),
    )


def _make_otlp_exporters() -> Exporters:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import (  # noqa: PLC0415
        OTLPLogExporter,
    )
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter,
    )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )

    return Exporters(spans=OTLPSpanExporter(), metrics=OTLPMetricExporter(), logs=OTLPLogExporter())
