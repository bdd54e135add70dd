"""Make hubs with devices, and read them back from their state files."""

from pathlib import Path

from simulator.hub.model.device import DeviceSettings, device_document
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document
from simulator.hub.model.twin import twin_document
from simulator.hub.state_file import StateFile
from tests.simulator.hub.builders import (
    make_hub,
    settings,
)


def everything(hub: Hub) -> list[tuple[Document, Document]]:
    """Return what the service shows of every identity and its twin."""
    devices = hub.registry.first(1000)
    modules = [module for device in devices for module in hub.registry.modules_of(device.key)]
    return [
        (device_document(identity), twin_document(identity, hub.twins.get(identity.key).twin))
        for identity in (*devices, *modules)
    ]


def module(device_id: str, module_id: str) -> DeviceSettings:
    return DeviceSettings(
        device_id=device_id,
        module_id=module_id,
        authentication=settings(device_id).authentication,
    )


def restored(path: Path) -> Hub:
    hub = make_hub()
    with StateFile(path, hub.persistence):
        return hub
