"""What the use cases need of an IoT Hub, in this project's own words."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from functions.rollouts.method_outcome import MethodOutcome
from functions.rollouts.model import DeviceTwin


class HubGateway(Protocol):
    """Reads raise HubUnavailableError; a direct method's failure is its outcome, never an error."""

    def twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        """Read many device twins by query: cheap, but up to minutes old.

        A device that is missing in the answer may exist all the same.
        """

    def fresh_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        """Read device twins one by one, side by side.

        None stands for a device that the hub does not know. One that is missing could not be
        read; raises HubUnavailableError only when none could.
        """

    def invoke_all(
        self, method: str, payloads: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, MethodOutcome]:
        """Invoke a direct method on devices side by side and wait; payloads by device id."""

    def ping(self) -> None:
        """Return if the hub answers."""
