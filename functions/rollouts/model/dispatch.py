"""Which devices of a rollout may start next, and which are on their way to be invoked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from functions.rollouts.model.device_set import DeviceSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A batch of one block's devices: recorded here until it is claimed or expires."""

    number: int  # unique in its rollout; the queue message names it
    block: int  # the block's number
    devices: DeviceSet
    until: datetime  # expires then; its devices are leased again
    repeat: bool = False  # attempts in doubt, sent again; these devices are in flight already


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeMatches:
    """Devices of one block that a freeze keeps from starting, because they match its condition."""

    block: int  # the block's number
    devices: DeviceSet
    revision: int  # of the freeze
    until: datetime  # the condition is evaluated again then
    repeat: bool = False  # attempts in doubt, which would be sent again


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """The devices of a rollout that start next: ready, to be repeated, leased, or frozen."""

    # By block: devices that were leased before and may start again, before all others.
    ready: Mapping[int, DeviceSet] = field(default_factory=dict)
    # By block: devices whose attempt in doubt is to be sent again.
    repeats: Mapping[int, DeviceSet] = field(default_factory=dict)
    # By block: devices that were leased, and wait because their strata are frozen.
    frozen: Mapping[int, DeviceSet] = field(default_factory=dict)
    leases: tuple[Lease, ...] = ()  # neither claimed nor expired
    freeze_matches: tuple[FreezeMatches, ...] = ()  # in the order in which they are checked again
    lease_count: int = 0  # leases ever made; the next one's number
