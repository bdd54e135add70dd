"""What the use cases need of an IoT Hub, in this project's own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from functions.rollouts.model.device_update import DeviceTwin
from functions.rollouts.model.method_outcome import MethodOutcome
from functions.rollouts.rollout.start_order import TargetDevice


class ConditionError(ValueError):
    """The hub does not accept a condition; the message is the hub's own."""


@dataclass(frozen=True, slots=True)
class Matches:
    """One page of a query for devices; `cursor` asks for the next, None after the last."""

    members: Sequence[TargetDevice]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocations:
    """How the direct methods of a batch ended, by device id, and what it took.

    `throttled` counts calls that the hub refused with 429, `seconds` is the mean time of a call
    that was answered, 0 if none was.
    """

    outcomes: Mapping[str, MethodOutcome]
    throttled: int = 0
    seconds: float = 0.0


class HubGateway(Protocol):
    """Reads raise HubUnavailableError; a direct method's failure is its outcome, never an error.

    A query answers with at most 100 rows; what costs a query of the hub's quota says so.
    """

    def twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        """Read device twins by query, one for each hundred: cheap, but up to minutes old.

        A device that is missing in the answer may exist all the same.
        """

    def fresh_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        """Read device twins one by one, side by side: as fresh as can be.

        None stands for a device that the hub does not know. One that is missing could not be
        read; raises HubUnavailableError only when none could.
        """

    def connected(self, device_ids: Sequence[str]) -> frozenset[str]:
        """Which devices are connected, a query for each hundred; up to minutes old."""

    def matches(self, condition: str, paths: Sequence[str], cursor: str | None) -> Matches:
        """One page of the devices that meet a condition, with their values of twin paths.

        Costs one query. Raises ConditionError.
        """

    def members(self, device_ids: Sequence[str], paths: Sequence[str]) -> Sequence[TargetDevice]:
        """Of these devices, those that the hub's query knows, with their values of twin paths.

        Costs one query for each hundred.
        """

    def count(self, condition: str) -> int:
        """How many devices meet a condition, by one query. Raises ConditionError."""

    def invoke_all(self, method: str, payloads: Mapping[str, Mapping[str, Any]]) -> Invocations:
        """Invoke a direct method on devices side by side and wait; payloads by device id."""

    def ping(self) -> None:
        """Return if the hub answers."""
