"""Runs simulated devices for a test: registered, connected, and stopped at its end."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from device_agent.credentials import Credentials
from simulator.cloud.options import CloudOptions
from simulator.cloud.registration import Registration
from simulator.simulated_device.device import Device, DeviceOptions
from simulator.simulated_device.device_thread import DeviceThread
from simulator.simulated_device.simulated_updates import UpdateSettings


@dataclass
class Fleet:
    """The devices of one cloud."""

    options: CloudOptions
    thread: DeviceThread
    registration: Registration
    connection_strings: dict[str, str] = field(default_factory=dict)

    def register(self, device_id: str) -> str:
        text = self.registration.register(device_id)
        self.connection_strings[device_id] = text
        return text

    def start(self, device_id: str, stage_seconds: float = 0.5, **settings: Any) -> Device:
        """Start a device and return it once it is connected; register it first if it is new."""
        text = self.connection_strings.get(device_id) or self.register(device_id)
        device = Device(
            DeviceOptions(
                credentials=Credentials(connection_string=text, ca=self.options.ca.read_text()),
                update_settings=UpdateSettings(
                    stage_delay=timedelta(seconds=stage_seconds), **settings
                ),
            )
        )
        self.thread.start(device)
        assert device.standing_by.wait(20)
        return device

    def stop(self, device_id: str) -> None:
        self.thread.stop(device_id)
