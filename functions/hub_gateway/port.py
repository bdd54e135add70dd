"""Say what the use cases need of an IoT Hub."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from functions.errors import PortError
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.method_outcome import MethodOutcome
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.usage import Usage


class ConditionError(PortError):
    """The hub rejects a condition or a cursor; the message is the hub's own."""


@dataclass(frozen=True, slots=True)
class DevicePage:
    """One page of the devices that match a condition."""

    devices: Sequence[TargetDevice]
    cursor: str | None  # requests the next page; None on the last page


@dataclass(frozen=True, slots=True)
class FailureQuery:
    """Which reported failures to find."""

    rollout_id: str
    since: datetime  # statuses that the hub stored at this time or later
    # A device of the rollout that stands by or has completed with another version has failed, too.
    versions: Sequence[str] = ()  # empty: versions are not compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocations:
    """The outcomes of direct methods that were invoked together."""

    # By device id. A device whose method was not sent is missing.
    outcomes: Mapping[str, MethodOutcome]
    throttled: int = 0  # calls that the hub refused with status 429
    seconds: float = 0.0  # mean duration of a call with a response; 0 if none had one


def always() -> bool:
    """Allow each method to be sent."""
    return True


class HubGateway(Protocol):
    """Read twins, query devices and invoke direct methods.

    Reads raise HubUnavailableError; DailyQuotaError once the hub's messages of the day are used up.
    A direct method that fails is an outcome, not an error. A page of a query has
    `quotas.QUERY_ROWS` rows and costs 1 of the hub's query quota. The result of a query may be
    minutes old.
    """

    def query_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        """Query device twins, by device id. A new device may be missing in the result.

        Costs a query per page, or more queries if the ids are very long.
        """

    def read_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        """Read device twins one by one, several at a time, as they are now.

        None stands for a device that the hub does not know. A device whose twin cannot be read is
        missing in the result. Raises HubUnavailableError only if no twin can be read.
        """

    def query_connections(self, device_ids: Sequence[str]) -> Mapping[str, bool]:
        """Query whether devices are connected, by device id. Costs a query per page.

        A device that is disabled, or that the query does not find, is missing in the result.
        """

    def query_failures(self, query: FailureQuery, cursor: str | None) -> DevicePage:
        """Query one page of the devices that report a failure. Costs one query.

        Finds devices that name the rollout, and devices that name none. The stratum of each is the
        hub's time of its status. Raises ConditionError.
        """

    def query_matching(
        self, condition: str, paths: Sequence[str], cursor: str | None
    ) -> DevicePage:
        """Query one page of the devices that match a condition. Costs one query.

        The values at `paths` in the twin become the stratum. Raises ConditionError.
        """

    def query_devices(
        self, device_ids: Sequence[str], paths: Sequence[str]
    ) -> Sequence[TargetDevice]:
        """Query devices with their values at `paths` in the twin. Costs a query per page.

        Devices that the query does not find are missing in the result.
        """

    def find_matching(self, condition: str, device_ids: Sequence[str]) -> frozenset[str]:
        """Query which of these devices match a condition. Costs a query per page.

        Raises ConditionError.
        """

    def count_matching(self, condition: str) -> int:
        """Count the devices that match a condition. Costs one query. Raises ConditionError."""

    def count_versions_matching(self, condition: str) -> Sequence[tuple[Any, int]]:
        """Count the devices that match a condition, by their reported `firmwareVersion`.

        Return each value, None for devices that report none, with a number of devices. Costs a
        query. Raises ConditionError.
        """

    def count_versions_of(self, device_ids: Sequence[str]) -> Sequence[tuple[Any, int]]:
        """Count these devices by the same. A value may occur twice. Costs a query per page."""

    def invoke_all(
        self,
        method: str,
        payloads: Mapping[str, Mapping[str, Any]],
        may_send: Callable[[], bool] = always,
        share: Hashable = None,
    ) -> Invocations:
        """Invoke a direct method on several devices at the same time; wait for all responses.

        `payloads` are by device id. `may_send` is called right before each method; the method is
        not sent if it returns False. Calls of one `share`, a rollout's id, leave room for others.
        Nothing more is sent once the hub's messages of the day are used up.
        """

    def take_usage(self) -> Usage:
        """Return what the calls of this process have used since the last time, and forget it."""

    def return_usage(self, usage: Usage) -> None:
        """Count usage again that was taken and could not be stored."""

    def ping(self) -> None:
        """Make one cheap call; return if the hub responds."""
