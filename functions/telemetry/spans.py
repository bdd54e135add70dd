"""Export a rollout, its waves, its device updates and the invocations as spans of one trace.

A span is made when it has ended, from the stored record: so processes share nothing, and a span
is lost only if its process ends between the write and the export.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from time import time_ns

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.telemetry import ids, invocations
from functions.telemetry.invocations import Invocation, Touched

# Device updates of a rollout that are exported although they neither failed nor were slow.
SAMPLED_DEVICES = 200
# An update is slow if it took more than SLOW_FACTOR times the average of its rollout's devices, and
# MIN_SLOW_SECONDS: of quick updates, the time between two ticks makes half of them look slow. The
# average is known once MIN_FINISHED devices have ended.
SLOW_FACTOR, MIN_SLOW_SECONDS = 2.0, 60.0
MIN_FINISHED = 10
PIPELINE = "firmware rollout"
_RESULTS: Mapping[str, str] = {  # values of OpenTelemetry's cicd.pipeline.result
    RolloutStatus.COMPLETED: "success",
    RolloutStatus.FAILED: "failure",
    RolloutStatus.CANCELLED: "cancellation",
}

# Codes of the reason of a rollout that an operator ended: that is no error.
_BY_OPERATOR = frozenset({"cancelled", "rolledBack"})

type _Attributes = dict[str, str | int]

_SCOPE = InstrumentationScope("fleet-rollout")
_NO_ERROR, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class Spans:
    """Makes spans without a tracer, which would choose their ids. Threads may share it."""

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        self._processor = processor
        self._resource = resource

    def export_ends(self, before: Rollout | None, after: Rollout) -> None:
        """Export the waves that have ended since `before`, and the rollout if it has."""
        earlier = before.waves if before is not None else ()
        for number, wave in enumerate(after.waves):
            had_ended = number < len(earlier) and earlier[number].ended_at is not None
            if wave.ended_at is not None and not had_ended:
                self._export_wave(after, number, wave)
        if after.is_over and not (before is not None and before.is_over):
            self._export_rollout(after)

    def export_updates(
        self, rollout: Rollout, before: Mapping[int, Block], after: Mapping[int, Block]
    ) -> None:
        """Export device updates that have ended: all that failed or were slow, some others."""
        for number, block in after.items():
            known = before[number].updates if number in before else ()
            for old, new in zip(known, block.updates, strict=False):
                if old is not new and new.ended_at is not None and old.state is not new.state:
                    self._export_update(rollout, old, new)

    def export_invocation(self, invocation: Invocation) -> None:
        """Export one span for each rollout that an invocation changed."""
        for rollout_id, touched in invocation.touched.items():
            self._export_touched(invocation, rollout_id, touched)

    def _export_touched(self, invocation: Invocation, rollout_id: str, touched: Touched) -> None:
        attributes: _Attributes = {"rollout.id": rollout_id, "faas.trigger": invocation.trigger}
        events = [
            (event.action, _nanoseconds(event.at), _describe(event.by, event.message, code))
            for event, code in touched.events
        ]
        links = [*touched.links, *([invocation.caller] if invocation.caller.is_valid else [])]
        self._export(
            invocation.name,
            touched.context,
            ids.rollout_context(rollout_id),
            (invocation.begun, time_ns()),
            attributes,
            events=events,
            links=links,
            error=invocation.error,
        )

    def _export_rollout(self, rollout: Rollout) -> None:
        context = ids.rollout_context(rollout.id)
        result = _RESULTS.get(rollout.status, "error")
        attributes: _Attributes = {
            "cicd.pipeline.name": PIPELINE,
            "cicd.pipeline.run.id": rollout.id,
            "cicd.pipeline.result": result,
            "rollout.id": rollout.id,
            "rollout.status": rollout.status.value,
            "rollout.firmware.version": rollout.firmware.version,
            "rollout.devices": rollout.counts.total,
        }
        links = _ending_links(rollout.id)
        if rollout.definition.rollback_of is not None:
            links.append(ids.rollout_context(rollout.definition.rollback_of))
        code = rollout.status_reason.code if rollout.status_reason else "unknown"
        self._export(
            "rollout",
            context,
            None,
            _times(rollout.definition.created_at, rollout.ended_at),
            attributes,
            links=links,
            error="" if result == "success" or code in _BY_OPERATOR else code,
        )

    def _export_wave(self, rollout: Rollout, number: int, wave: Wave) -> None:
        is_stopped = rollout.status is RolloutStatus.CANCELLED
        result = "cancellation" if is_stopped else "success"
        if wave.status is WaveStatus.FAILED:
            result = "failure"
        attributes: _Attributes = {
            "cicd.pipeline.task.name": wave.name,
            "cicd.pipeline.task.run.id": f"{rollout.id}/{number}",
            "cicd.pipeline.task.run.result": result,
            "cicd.pipeline.task.type": "deploy",
            "rollout.id": rollout.id,
            "rollout.wave": wave.name,
        }
        reason = rollout.status_reason
        self._export(
            "wave",
            ids.wave_context(rollout.id, number),
            ids.rollout_context(rollout.id),
            _times(wave.started_at or wave.ended_at, wave.ended_at),
            attributes,
            links=_ending_links(rollout.id),
            error=(reason.code if reason else "unknown") if result == "failure" else "",
        )

    def _export_update(self, rollout: Rollout, old: DeviceUpdate, new: DeviceUpdate) -> None:
        is_late = old.state is DeviceState.FAILED
        span_id = ids.device_span_id(rollout.id, new, is_late=is_late)
        is_notable = new.state is DeviceState.FAILED or _is_slow(rollout, new)
        if not is_notable and not _is_sampled(rollout, span_id):
            return
        attributes: _Attributes = {
            "rollout.id": rollout.id,
            "rollout.wave": rollout.waves[new.wave].name,
            "rollout.attempt": new.attempt,
            "rollout.device.state": new.state.value,
            "device.id": new.device_id,
        }
        failure = new.error.code if new.state is DeviceState.FAILED and new.error else ""
        self._export(
            "device update",
            ids.make_context(rollout.id, span_id),
            ids.wave_context(rollout.id, new.wave),
            _times(new.dispatched_at or new.queued_at, new.ended_at),
            attributes,
            # An event costs as much as a span, so only these have any.
            events=[(item.state.value, _nanoseconds(item.at), {}) for item in new.history]
            if is_notable
            else (),
            links=_ending_links(rollout.id),
            error=failure,
        )

    def _export(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        times: tuple[int, int],
        attributes: _Attributes,
        *,
        events: Iterable[tuple[str, int, Mapping[str, str]]] = (),
        links: Sequence[SpanContext] = (),
        error: str,
    ) -> None:
        """Export a span. `error` is the code of its failure, or empty."""
        if error:
            attributes["error.type"] = error
        self._processor.on_end(
            ReadableSpan(
                name,
                context,
                parent,
                self._resource,
                attributes,
                [SpanEvent(title, details, at) for title, at, details in events],
                [Link(linked) for linked in links],
                status=_ERROR if error else _NO_ERROR,
                start_time=times[0],
                end_time=times[1],
                instrumentation_scope=_SCOPE,
            )
        )


def sampled_contexts(rollout: Rollout, updates: Collection[DeviceUpdate]) -> Sequence[SpanContext]:
    """Return the contexts of those updates that are exported whatever becomes of them."""
    span_ids = (ids.device_span_id(rollout.id, update) for update in updates)
    return [
        ids.make_context(rollout.id, span_id)
        for span_id in span_ids
        if _is_sampled(rollout, span_id)
    ]


def _is_sampled(rollout: Rollout, span_id: int) -> bool:
    """Return whether an update without anything notable is exported. Its id is random enough."""
    return span_id * rollout.total < SAMPLED_DEVICES << 64


def _is_slow(rollout: Rollout, update: DeviceUpdate) -> bool:
    measured = rollout.measured
    if measured.finished < MIN_FINISHED or not (update.dispatched_at and update.ended_at):
        return False
    seconds = (update.ended_at - update.dispatched_at).total_seconds()
    usual = SLOW_FACTOR * measured.finish_seconds / measured.finished
    return seconds > max(usual, MIN_SLOW_SECONDS)


def _ending_links(rollout_id: str) -> list[SpanContext]:
    """Return the link of what has ended to the invocation that stored its end."""
    invocation = invocations.current()
    return [invocation.touch(rollout_id).context] if invocation is not None else []


def _describe(by: str, message: str, code: str) -> Mapping[str, str]:
    known = {"by": by, "message": message}
    return {**known, "reasonCode": code} if code else known


def _times(begin: datetime | None, end: datetime | None) -> tuple[int, int]:
    """Return both in nanoseconds. A hub's or a device's clock may be ahead of the app's."""
    last = _nanoseconds(end) if end is not None else time_ns()
    return min(_nanoseconds(begin), last) if begin is not None else last, last


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000
