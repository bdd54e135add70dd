"""A local stand-in for Azure IoT Hub: the SDKs connect to it unchanged."""

from simulator.hub.local_hub import LocalHub
from simulator.hub.options import HubOptions

__all__ = ["HubOptions", "LocalHub"]
