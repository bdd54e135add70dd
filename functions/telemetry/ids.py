"""Derive the ids of traces and spans, so that processes agree on them without storing any."""

import threading
from dataclasses import dataclass
from hashlib import blake2b

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import SpanContext, TraceFlags

from functions.rollouts.model.device_update import DeviceUpdate

_TRACE_BYTES, _SPAN_BYTES = 16, 8
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def rollout_context(rollout_id: str) -> SpanContext:
    """Return the context of a rollout's span."""
    return _context(rollout_id, "rollout")


def wave_context(rollout_id: str, number: int) -> SpanContext:
    """Return the context of the span of the wave with this number, from 0."""
    return _context(rollout_id, f"wave {number}")


def device_context(rollout_id: str, update: DeviceUpdate, *, is_late: bool = False) -> SpanContext:
    """Return the context of a device update's span; `is_late`: it completed after it had failed."""
    late = "late " if is_late else ""
    return _context(rollout_id, f"{late}attempt {update.attempt} of {update.device_id}")


def new_context(rollout_id: str) -> SpanContext:
    """Return the context of another span in the rollout's trace, with a random id."""
    return SpanContext(
        _trace_id(rollout_id),
        RandomIdGenerator().generate_span_id(),
        is_remote=True,
        trace_flags=_SAMPLED,
    )


def _context(rollout_id: str, name: str) -> SpanContext:
    span_id = _digest(f"{rollout_id} {name}", _SPAN_BYTES)
    return SpanContext(_trace_id(rollout_id), span_id, is_remote=True, trace_flags=_SAMPLED)


def _trace_id(rollout_id: str) -> int:
    return _digest(rollout_id, _TRACE_BYTES)


def _digest(text: str, size: int) -> int:
    # 0 is no valid id.
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest()) or 1


@dataclass
class _Next(threading.local):
    context: SpanContext | None = None


class DerivedIds(IdGenerator):
    """Give the next span of a thread the ids that were set for it."""

    def __init__(self) -> None:
        self._next = _Next()

    def set_next(self, context: SpanContext) -> None:
        """Set the ids of the span that this thread starts next."""
        self._next.context = context

    def generate_trace_id(self) -> int:
        return self._taken().trace_id

    def generate_span_id(self) -> int:
        return self._taken().span_id

    def _taken(self) -> SpanContext:
        if self._next.context is None:
            raise RuntimeError("set the ids before a span is started")
        return self._next.context
