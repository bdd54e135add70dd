"""Fault plans: which faults strike, on which devices and operations, how often.

This module decides; REST and MQTT apply the fault. The same plan with the same seed strikes the
same occasions again if they occur in the same order.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from simulator.hub.model.metering import Operation


class Action(StrEnum):
    """What a fault does."""

    DROP = "drop"
    """Connections end: at once, or after one of the named operations."""
    BLACK_HOLE = "blackHole"
    """Sockets stay open; nothing is read or sent, new CONNECTs get no CONNACK."""
    REFUSE = "refuse"
    """CONNECT is refused with `return_code`."""
    EXPIRE_TOKEN = "expireToken"  # noqa: S105  a name in fault plans
    """The token of the connection counts as expired; a newer one is valid."""
    LOSE_RESPONSE = "loseAnswer"
    """A device's method response is lost, after the method ran."""
    DELAY = "delay"
    """An operation waits for `seconds` first."""
    DUPLICATE = "duplicate"
    """A method, a desired change or a message is delivered twice."""
    ERROR = "error"
    """An operation is refused with `status`."""


PER_DEVICE = frozenset({Action.BLACK_HOLE, Action.EXPIRE_TOKEN})
"""Actions whose share is of devices, not of occasions; so is that of `drop` without operations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a plan."""

    action: Action
    devices: tuple[str, ...] = ("*",)
    """Patterns of device ids, with `*` and `?`."""
    operations: frozenset[Operation] = frozenset()
    """Empty for all operations."""
    share: float = 1
    """0 to 1."""
    count: int | None = None
    """How often it strikes at most; None for no limit."""
    seconds: float = 0
    """Of `delay`."""
    status: int = 503
    """Of `error`."""
    retry_after_seconds: int | None = None
    """Of `error`: the Retry-After header, None for none."""
    return_code: int = 3
    """Of `refuse`: the CONNACK return code."""

    @property
    def is_per_device(self) -> bool:
        return self.action in PER_DEVICE or (self.action is Action.DROP and not self.operations)

    def is_for(self, device_id: str) -> bool:
        return any(fnmatchcase(device_id, pattern) for pattern in self.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Faults and the seed of their random numbers."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0


@dataclass(slots=True)
class _Active:
    """A fault in force, with its random numbers and how often it has struck."""

    fault: Fault
    key: str
    chance: random.Random = field(init=False)
    struck: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.key)

    def try_strike(self) -> bool:
        """Decide whether the fault strikes on this occasion, and count it if so."""
        fault = self.fault
        if fault.count is not None and self.struck >= fault.count:
            return False
        if fault.share < 1 and self.chance.random() >= fault.share:
            return False
        self.struck += 1
        return True

    def is_chosen(self, device_id: str) -> bool:
        """Return whether a device is in the share; always the same. `count` is not used."""
        fault = self.fault
        if not fault.is_for(device_id):
            return False
        return fault.share >= 1 or random.Random(f"{self.key}/{device_id}").random() < fault.share


class Faults:
    """The faults in force. While `active` is false no other method needs to be called."""

    def __init__(self) -> None:
        self.active = False
        self.plan = FaultPlan()
        self._active: list[_Active] = []
        self._expired: dict[str, int] = {}
        self.on_change: list[Callable[[], None]] = []
        """Called when the plan has changed."""

    def put(self, plan: FaultPlan) -> None:
        """Replace the plan in force. An empty one ends every fault."""
        self.plan = plan
        self._active = [
            _Active(fault, f"{plan.seed}/{number}") for number, fault in enumerate(plan.faults)
        ]
        self.active = bool(self._active)
        self._expired.clear()
        for callback in list(self.on_change):
            callback()

    @property
    def struck(self) -> list[int]:
        """Return how often each fault of the plan has struck, in the plan's order."""
        return [active.struck for active in self._active]

    def strike(self, action: Action, operation: Operation, device_id: str) -> Fault | None:
        """Return the first fault that strikes on this occasion, or None."""
        for active in self._active:
            fault = active.fault
            if (
                fault.action is action
                and not fault.is_per_device
                and (not fault.operations or operation in fault.operations)
                and fault.is_for(device_id)
                and active.try_strike()
            ):
                return fault
        return None

    def is_in_force(self, action: Action, device_id: str) -> bool:
        """Return whether a fault for whole devices applies to this one."""
        return any(
            active.fault.action is action
            and active.fault.is_per_device
            and active.is_chosen(device_id)
            for active in self._active
        )

    def count_strike(self, action: Action, device_id: str) -> None:
        """Count that a fault for whole devices was applied to this one."""
        for active in self._active:
            fault = active.fault
            if fault.action is action and fault.is_per_device and active.is_chosen(device_id):
                active.struck += 1

    def expire(self, device_id: str, expiry: int) -> None:
        """Refuse the device's tokens that expire at `expiry` (Unix time) or before."""
        self._expired[device_id] = expiry

    def is_expired(self, device_id: str, expiry: int | None) -> bool:
        limit = self._expired.get(device_id)
        return limit is not None and expiry is not None and expiry <= limit
