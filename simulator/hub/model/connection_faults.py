"""Faults of connections carried out: dropped, held as by a black hole, their tokens expired."""

from simulator.hub.model.connections import Connections, DeviceLink
from simulator.hub.model.faults import Action, Faults


class ConnectionFaults:
    """Acts when the fault plan changes, and remembers whom it holds."""

    def __init__(self, faults: Faults, connections: Connections):
        self._faults = faults
        self._connections = connections
        self._suspended: dict[DeviceLink, str] = {}
        faults.on_change.append(self._on_plan_change)

    def swallow_connect(self, device_id: str, link: DeviceLink) -> bool:
        """Whether a device that connects falls into a black hole; held from then on, if so."""
        if not self._faults.is_in_force(Action.BLACK_HOLE, device_id):
            return False
        self._suspend(device_id, link)
        return True

    def forget(self, link: DeviceLink) -> None:
        """The socket is gone."""
        self._suspended.pop(link, None)

    def _on_plan_change(self) -> None:
        for device_id, link in self._connections.links:
            self._break(device_id, link)
        for link, device_id in list(self._suspended.items()):
            if not self._faults.is_in_force(Action.BLACK_HOLE, device_id):
                del self._suspended[link]
                link.suspend(suspended=False)

    def _break(self, device_id: str, link: DeviceLink) -> None:
        if self._faults.is_in_force(Action.EXPIRE_TOKEN, device_id):
            self._faults.count_strike(Action.EXPIRE_TOKEN, device_id)
            if link.expires_at is not None:
                self._faults.expire(device_id, link.expires_at)
            link.close("a fault: the token counts as expired")
        elif self._faults.is_in_force(Action.DROP, device_id):
            self._faults.count_strike(Action.DROP, device_id)
            link.close("a fault: the connection is dropped")
        elif link not in self._suspended and self._faults.is_in_force(Action.BLACK_HOLE, device_id):
            self._suspend(device_id, link)

    def _suspend(self, device_id: str, link: DeviceLink) -> None:
        self._faults.count_strike(Action.BLACK_HOLE, device_id)
        self._suspended[link] = device_id
        link.suspend(suspended=True)
