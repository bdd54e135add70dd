"""What the use cases need of an IoT Hub, in this project's own words."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from functions.rollouts.method_outcome import MethodOutcome
from functions.rollouts.model import DeviceTwin


class HubGateway(Protocol):
    """Reads raise HubUnavailableError; a direct method's failure is its outcome, never an error."""

    def twin(self, device_id: str) -> DeviceTwin | None:
        """Read a device twin as it is now; None when the hub does not know the device."""

    def twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        """Read many device twins by query: cheap, but up to minutes old.

        A device that is missing in the answer may exist all the same.
        """

    def fresh_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        """Read device twins one by one, side by side.

        None stands for a device that the hub does not know. One that is missing could not be
        read; raises HubUnavailableError only when none could.
        """

    def invoke(self, device_id: str, method: str, payload: Mapping[str, Any]) -> MethodOutcome:
        """Invoke a direct method on one device, and wait for its answer."""

    def invoke_all(
        self, method: str, payloads: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, MethodOutcome]:
        """Invoke a direct method on several devices side by side; payloads by device id."""

    def ping(self) -> None:
        """Return if the hub answers."""
