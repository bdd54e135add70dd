"""Collect what an invocation of an Azure function does to each rollout, for its spans."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from opentelemetry.trace import SpanContext, get_current_span

from functions.rollouts.model.audit_trail import Event
from functions.telemetry import ids


@dataclass(slots=True)
class Touched:
    """What an invocation did to one rollout."""

    context: SpanContext  # of its span
    # Audit events, each with the code of the rollout's reason when it was stored.
    events: list[tuple[Event, str]] = field(default_factory=list)
    links: list[SpanContext] = field(default_factory=list)  # device updates that it invoked


@dataclass(slots=True)
class Invocation:
    """One call of an Azure function."""

    name: str
    trigger: str
    begun: int  # nanoseconds since 1970
    caller: SpanContext  # of the host's span for the call; invalid: unknown
    touched: dict[str, Touched] = field(default_factory=dict)  # by the rollout's id
    error: str = ""  # the type of the error that ended it; empty: none did

    def touch(self, rollout_id: str) -> Touched:
        found = self.touched.get(rollout_id)
        if found is None:
            found = self.touched[rollout_id] = Touched(ids.new_context(rollout_id))
        return found


_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation | None:
    """Return the invocation that this code runs in, or None outside of any."""
    return _current.get()


@contextmanager
def begin(name: str, trigger: str) -> Iterator[Invocation]:
    """Collect until the block ends."""
    caller = get_current_span().get_span_context()
    invocation = Invocation(name, trigger, time.time_ns(), caller)
    token = _current.set(invocation)
    try:
        yield invocation
    except BaseException as error:
        invocation.error = type(error).__name__
        raise
    finally:
        _current.reset(token)
