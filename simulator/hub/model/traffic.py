"""Admission of every operation: counting, throttling and faults.

REST and MQTT call `admit` before an operation and `meter` after it.
"""

from typing import NoReturn

from simulator.hub.model.clock import Clock
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.faults import Action, Faults
from simulator.hub.model.metering import METERED, Counters, DailyMessages, Operation
from simulator.hub.model.quotas import Quota, Throttles

_FAULT_CODES = {
    401: ErrorCode.IOT_HUB_UNAUTHORIZED_ACCESS,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.DEVICE_NOT_FOUND,
    408: ErrorCode.REQUEST_TIMEOUT,
    429: ErrorCode.THROTTLING_EXCEPTION,
    500: ErrorCode.SERVER_ERROR,
    501: ErrorCode.NOT_EMULATED,
    503: ErrorCode.SERVICE_UNAVAILABLE,
    504: ErrorCode.GATEWAY_TIMEOUT,
}
FAULT_STATUSES = frozenset(_FAULT_CODES)
"""The HTTP statuses that a fault can cause."""


class Traffic:
    """Counts every operation. Without a quota nothing is throttled and a day has no limit."""

    def __init__(self, clock: Clock, quota: Quota | None = None) -> None:
        self._clock = clock
        self.quota = quota
        self.counters = Counters()
        self.faults = Faults()
        self._throttles = None if quota is None else Throttles(quota)
        self.daily = (
            DailyMessages()
            if quota is None
            else DailyMessages(
                limit=quota.daily_messages, block_bytes=quota.block_bytes, scale=quota.scale
            )
        )

    @property
    def is_throttled(self) -> bool:
        return self._throttles is not None

    def admit(self, operation: Operation, device_id: str = "", cost: float = 1) -> float:
        """Admit an operation and return how many seconds it must wait first, mostly 0.

        Raises THROTTLING_EXCEPTION, IOT_HUB_QUOTA_EXCEEDED, or the error of a fault.
        """
        wait = 0.0
        # A job's part on a device meets the faults of its method or twin update only.
        if self.faults.active and operation is not Operation.JOB_DEVICE:
            wait = self._apply_faults(operation, device_id)
        if self._throttles is not None:
            wait += self._throttle(self._throttles, operation, cost)
        if wait:
            self.counters.delayed[operation] += 1
        self.counters.operations[operation] += 1
        return wait

    def meter(self, *sizes_bytes: int) -> None:
        """Count bodies as messages: each on its own, an empty one as one."""
        now = self._clock.now()
        for size in sizes_bytes:
            self.counters.messages += self.daily.charge(now, size)

    def _apply_faults(self, operation: Operation, device_id: str) -> float:
        fault = self.faults.strike(Action.ERROR, operation, device_id)
        if fault is not None:
            self.counters.faulted[operation] += 1
            error = HubError(_FAULT_CODES[fault.status], "a fault of the fault plan")
            error.retry_after_seconds = fault.retry_after_seconds
            raise error
        delay = self.faults.strike(Action.DELAY, operation, device_id)
        return 0.0 if delay is None else delay.seconds

    def _throttle(self, throttles: Throttles, operation: Operation, cost: float) -> float:
        now = self._clock.now()
        if operation in METERED and self.daily.is_used_up(now):
            self._over_quota()
        wait = throttles.take(operation, now, cost)
        if wait is None:
            self.counters.throttled[operation] += 1
            raise HubError(
                ErrorCode.THROTTLING_EXCEPTION,
                f"too many operations of class {operation}; try again later",
            )
        return wait

    def _over_quota(self) -> NoReturn:
        self.counters.over_quota += 1
        raise HubError(
            ErrorCode.IOT_HUB_QUOTA_EXCEEDED,
            f"the daily quota of {self.daily.limit} messages is used up",
        )
