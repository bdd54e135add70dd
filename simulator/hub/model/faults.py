"""Faults on purpose: what goes wrong, for whom, how often. Only decides; the doors carry it out.

A fault is data: which devices and operations it is for, what happens, how large a share of the
occasions it strikes and how often at most. The same plan with the same seed strikes the same
occasions again, if they come in the same order.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from simulator.hub.model.metering import Operation


class Action(StrEnum):
    """What goes wrong."""

    DROP = "drop"
    """Connections end: at once, or after one of the operations named."""
    BLACK_HOLE = "blackHole"
    """Sockets stay open, nothing is read or answered, new CONNECTs are swallowed."""
    REFUSE = "refuse"
    """CONNECT is answered with `return_code`."""
    EXPIRE_TOKEN = "expireToken"  # noqa: S105  a word of the wire
    """The token a device is connected with counts as expired; a newer one is good."""
    LOSE_RESPONSE = "loseAnswer"
    """What a device answers to a method, after it ran, never arrives."""
    DELAY = "delay"
    """An operation waits for `seconds` first."""
    DUPLICATE = "duplicate"
    """A method, a desired change or a message is delivered twice."""
    ERROR = "error"
    """An operation is refused with `status`."""


PER_DEVICE = frozenset({Action.BLACK_HOLE, Action.EXPIRE_TOKEN})
"""Actions whose share is one of devices, not of occasions; `drop` too if it names no operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`devices` are patterns of device ids (`*` and `?`); no operations means all of them.

    `share` is 0 to 1; `count` is how often it strikes at most, None for no limit.
    """

    action: Action
    devices: tuple[str, ...] = ("*",)
    operations: frozenset[Operation] = frozenset()
    share: float = 1
    count: int | None = None
    seconds: float = 0
    status: int = 503
    retry_after_seconds: int | None = None
    return_code: int = 3

    @property
    def is_per_device(self) -> bool:
        return self.action in PER_DEVICE or (self.action is Action.DROP and not self.operations)

    def is_for(self, device_id: str) -> bool:
        return any(fnmatchcase(device_id, pattern) for pattern in self.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """What is asked for as a whole."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0


@dataclass(slots=True)
class _Active:
    """A fault in force: its own random numbers, and how often it has struck."""

    fault: Fault
    key: str
    chance: random.Random = field(init=False)
    struck: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.key)

    def try_strike(self) -> bool:
        """Decide one occasion, and count it if it does."""
        fault = self.fault
        if fault.count is not None and self.struck >= fault.count:
            return False
        if fault.share < 1 and self.chance.random() >= fault.share:
            return False
        self.struck += 1
        return True

    def is_chosen(self, device_id: str) -> bool:
        """Whether a device is in the share, the same every time; `count` does not apply."""
        fault = self.fault
        if not fault.is_for(device_id):
            return False
        return fault.share >= 1 or random.Random(f"{self.key}/{device_id}").random() < fault.share


class Faults:
    """The faults in force. While `active` is false nobody needs to ask."""

    def __init__(self) -> None:
        self.active = False
        self.plan = FaultPlan()
        self._active: list[_Active] = []
        self._expired: dict[str, int] = {}
        self.on_change: list[Callable[[], None]] = []
        """Called when the plan has changed."""

    def put(self, plan: FaultPlan) -> None:
        """Put a plan in place of the one in force; an empty one lifts every fault."""
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
        """How often each fault of the plan has struck, in its order."""
        return [active.struck for active in self._active]

    def strike(self, action: Action, operation: Operation, device_id: str) -> Fault | None:
        """The first fault that strikes on this occasion, if one does."""
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
        """Whether a fault for whole devices is in force for this one."""
        return any(
            active.fault.action is action
            and active.fault.is_per_device
            and active.is_chosen(device_id)
            for active in self._active
        )

    def count_strike(self, action: Action, device_id: str) -> None:
        """Count that a fault for whole devices took effect on this one."""
        for active in self._active:
            fault = active.fault
            if fault.action is action and fault.is_per_device and active.is_chosen(device_id):
                active.struck += 1

    def expire(self, device_id: str, expiry: int) -> None:
        """From now on the device's tokens that end at `expiry` (Unix time) or before are bad."""
        self._expired[device_id] = expiry

    def is_expired(self, device_id: str, expiry: int | None) -> bool:
        limit = self._expired.get(device_id)
        return limit is not None and expiry is not None and expiry <= limit
