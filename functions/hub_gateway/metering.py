"""Meter the calls to the hub as it bills them, and stop calling once its day is used up."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from requests import Response

from functions.errors import DailyQuotaError
from functions.rollouts.model import texts
from functions.rollouts.model.quotas import Quotas
from functions.rollouts.model.usage import NO_USAGE, Usage, blocks

# Statuses with which the hub refuses a call, or fails, before it is billed.
_UNBILLED = frozenset({401, 403, 429})
_SERVER_ERROR, _BAD_REQUEST, _THROTTLED = 500, 400, 429


def _now() -> datetime:
    return datetime.now(UTC)


class Meter:
    """Counts the usage of a process. Threads may share it."""

    def __init__(
        self,
        limits: Quotas,
        clock: Callable[[], datetime] = _now,
        on_throttled: Callable[[], None] = lambda: None,
    ) -> None:
        self._limits = limits
        self._on_throttled = on_throttled
        self._clock = clock
        self._lock = threading.Lock()
        self._usage = NO_USAGE
        self._refused_until: datetime | None = None

    def count_response(self, response: Response, *_: Any, **__: Any) -> None:
        """Count a call and its response. The SDK's sessions call this."""
        if response.status_code == _THROTTLED:
            self._on_throttled()
        path = urlsplit(str(response.request.url)).path
        size = blocks(len(response.content), self._limits.block_bytes)
        if path.endswith("/methods"):
            self._count_method(response, size)
        elif response.status_code >= _BAD_REQUEST:
            return
        elif path.endswith("/devices/query"):
            self.add(Usage(other_messages=size))
        elif path.startswith("/twins/"):
            self.add(Usage(twins=1, twin_messages=size))

    def _count_method(self, response: Response, size: int) -> None:
        """Count a request and a response; one that reached no device has an empty response."""
        if response.status_code in _UNBILLED:
            return
        is_success = response.status_code < _BAD_REQUEST
        self.count_method(_length(response.request.body), size if is_success else 1)

    def count_method(self, request_bytes: int, response_messages: int = 1) -> None:
        """Count a method whose request was sent."""
        request = blocks(request_bytes, self._limits.block_bytes)
        self.add(Usage(methods=1, method_messages=request + response_messages))

    def add(self, usage: Usage) -> None:
        with self._lock:
            self._usage += usage

    def take(self) -> Usage:
        """Return the usage so far, and forget it."""
        with self._lock:
            taken, self._usage = self._usage, NO_USAGE
            return taken

    def record_refusal(self) -> None:
        """Record that the hub refused a call because its day is used up."""
        with self._lock:
            self._refused_until = self._limits.calls_resume_at(self._clock())
            self._usage += Usage(refusals=1)

    def is_refused(self) -> bool:
        """Return whether no call is to be made."""
        until = self._refused_until
        return until is not None and self._clock() < until

    def refuse_if_used_up(self) -> None:
        """Raise DailyQuotaError if no call is to be made."""
        if self.is_refused():
            until = texts.utc_time(self._refused_until or self._clock())
            raise DailyQuotaError(
                "The hub's messages of the day are used up (403002). No call is made until"
                f" {until}; try again then."
            )


def _length(body: Any) -> int:
    """Return the bytes of a request's body, which the SDK sends as text."""
    return len(body.encode() if isinstance(body, str) else body or b"")
