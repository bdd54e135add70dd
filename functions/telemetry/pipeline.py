"""Build the telemetry of a process: its resource, processors, instruments and log handler."""

import atexit
import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.quotas import Budget, Quotas
from functions.rollouts.model.rollout import Rollout
from functions.telemetry import invocations
from functions.telemetry.exporters import Exporters
from functions.telemetry.logs import APP_LOGGER, LogExport
from functions.telemetry.metrics import Metrics
from functions.telemetry.spans import Spans, sampled_contexts

SERVICE = "fleet-rollout"

_log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Pipeline:
    """Everything that exports, from its start to `shut_down`. The end of the process shuts it down.

    No provider becomes OpenTelemetry's global one, so no other package is traced.
    """

    def __init__(self, exporters: Exporters, clock: Callable[[], datetime] = _now) -> None:
        resource = _make_resource()
        self._spans: SpanProcessor = BatchSpanProcessor(exporters.spans)
        atexit.register(self._spans.shutdown)  # as the providers do
        reader = PeriodicExportingMetricReader(exporters.metrics)
        self._meters = MeterProvider([reader], resource)
        self._loggers = LoggerProvider(resource)
        self._loggers.add_log_record_processor(BatchLogRecordProcessor(exporters.logs))
        self._handler = LogExport(self._loggers)
        logger = logging.getLogger(APP_LOGGER)
        logger.addHandler(self._handler)
        self._level_before = logger.level
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)  # audit events are
        spans, metrics = Spans(self._spans, resource), Metrics(self._meters, clock)
        self.telemetry = OpenTelemetry(spans, metrics)

    def flush(self) -> None:
        """Export what is waiting."""
        self._spans.force_flush()
        self._meters.force_flush()
        self._loggers.force_flush()

    def shut_down(self) -> None:
        """Export what is waiting, and end."""
        logger = logging.getLogger(APP_LOGGER)
        logger.removeHandler(self._handler)
        logger.setLevel(self._level_before)
        self._spans.shutdown()
        atexit.unregister(self._spans.shutdown)
        self._meters.shutdown()
        self._loggers.shutdown()


def _make_resource() -> Resource:
    """Return what identifies this process. The standard environment variables come first."""
    own = {"service.name": SERVICE, "service.instance.id": str(uuid.uuid4())}
    named = Resource.create()
    unknown = str(named.attributes["service.name"]).startswith("unknown_service")
    kept = {} if unknown else {"service.name": named.attributes["service.name"]}
    return named.merge(Resource({**own, **kept}))


@contextmanager
def _log_errors() -> Iterator[None]:
    """Log an error of the telemetry, so that it ends no rollout's work."""
    try:
        yield
    except Exception:  # noqa: BLE001 - of any kind
        _log.exception("telemetry of a change is lost")


class OpenTelemetry:
    """The port's implementation."""

    def __init__(self, spans: Spans, metrics: Metrics) -> None:
        self._spans = spans
        self._metrics = metrics

    @contextmanager
    def invocation(self, name: str, trigger: str) -> Iterator[None]:
        invocation = None
        try:
            with invocations.begin(name, trigger) as invocation:
                yield
        finally:
            if invocation is not None and invocation.touched:
                with _log_errors():
                    self._spans.export_invocation(invocation)

    def tick(self) -> AbstractContextManager[None]:
        return self._metrics.tick()

    def record_open(self, rollout_ids: Collection[str]) -> None:
        self._metrics.keep_open(rollout_ids)

    def record_read(self, rollout: Rollout) -> None:
        self._metrics.show(rollout)

    def record_change(
        self, before: Rollout | None, after: Rollout, events: Sequence[Event]
    ) -> None:
        with _log_errors():
            self._metrics.show_change(after)
            invocation = invocations.current()
            if invocation is not None and events:
                code = after.status_reason.code if after.status_reason else ""
                invocation.touch(after.id).events.extend((event, code) for event in events)
            self._spans.export_ends(before, after)

    def record_updates(
        self, rollout: Rollout, before: Mapping[int, Block], after: Mapping[int, Block]
    ) -> None:
        with _log_errors():
            self._spans.export_updates(rollout, before, after)

    def record_started(self, rollout: Rollout, updates: Collection[DeviceUpdate]) -> None:
        with _log_errors():
            self._metrics.starts.add(len(updates))
            invocation = invocations.current()
            if invocation is not None:
                links = sampled_contexts(rollout, updates)
                invocation.touch(rollout.id).links.extend(links)

    def record_budget(self, budget: Budget, limits: Quotas) -> None:
        self._metrics.show_budget(budget, limits)

    def count_lost_race(self) -> None:
        self._metrics.lost_races.add(1)

    def count_throttled(self) -> None:
        self._metrics.throttled.add(1)
