"""A device of a fleet with its connection, and when it needs attention."""

from dataclasses import dataclass

from simulator.simulated_fleet.device import SimulatedDevice
from simulator.simulated_fleet.mqtt_connection import MqttConnection

FIRST_PAUSE_SECONDS = 1.0


@dataclass(slots=True, kw_only=True, eq=False)
class FleetDevice:
    """A device with its connection."""

    device: SimulatedDevice
    key: str
    """The device's key, base64."""
    connection: MqttConnection | None = None
    """The connection; None while the device is not connected."""
    connect_at: float = 0.0
    """When to connect next; infinite while the device waits for a connecting task."""
    give_up_at: float | None = None
    """When to give up waiting for CONNACK; None if the device does not wait."""
    pause_seconds: float = FIRST_PAUSE_SECONDS
    """The pause after the next failed connection."""

    @property
    def due(self) -> float | None:
        """When the device or its connection has something to do; None if neither has."""
        times = [self.device.due]
        if self.connection is not None:
            open_ = self.connection.is_open
            times.append(self.connection.session.due if open_ else self.give_up_at)
        elif not self.device.is_away:
            times.append(self.connect_at)
        known = (time for time in times if time is not None and time != float("inf"))
        return min(known, default=None)
