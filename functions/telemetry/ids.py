"""Derive the ids of traces and spans, so that processes agree on them without storing any."""

from functools import lru_cache
from hashlib import blake2b

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, TraceFlags

from functions.rollouts.model.device_update import DeviceUpdate

_TRACE_BYTES, _SPAN_BYTES = 16, 8
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_RANDOM = RandomIdGenerator()


def rollout_context(rollout_id: str) -> SpanContext:
    """Return the context of a rollout's span."""
    return make_context(rollout_id, _span_id(rollout_id, "rollout"))


def wave_context(rollout_id: str, number: int) -> SpanContext:
    """Return the context of the span of the wave with this number, from 0."""
    return make_context(rollout_id, _span_id(rollout_id, f"wave {number}"))


def device_span_id(rollout_id: str, update: DeviceUpdate, *, is_late: bool = False) -> int:
    """Return the id of a device update's span; `is_late`: it completed after it had failed."""
    late = "late " if is_late else ""
    return _span_id(rollout_id, f"{late}attempt {update.attempt} of {update.device_id}")


def new_context(rollout_id: str) -> SpanContext:
    """Return the context of another span in the rollout's trace, with a random id."""
    return make_context(rollout_id, _RANDOM.generate_span_id())


def make_context(rollout_id: str, span_id: int) -> SpanContext:
    """Return the context of the span with this id in the rollout's trace."""
    return SpanContext(_trace_id(rollout_id), span_id, is_remote=True, trace_flags=_SAMPLED)


@lru_cache
def _trace_id(rollout_id: str) -> int:
    return _digest(rollout_id, _TRACE_BYTES)


def _span_id(rollout_id: str, name: str) -> int:
    return _digest(f"{rollout_id} {name}", _SPAN_BYTES)


def _digest(text: str, size: int) -> int:
    # 0 is no valid id.
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest()) or 1
