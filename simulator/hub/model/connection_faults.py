"""The faults of connections: drops, black holes and expired tokens."""

from simulator.hub.model.connections import Connections, DeviceLink
from simulator.hub.model.faults import Action, Faults


class ConnectionFaults:
    """Applies faults when the plan changes; remembers the suspended links."""

    def __init__(self, faults: Faults, connections: Connections) -> None:
        self._faults = faults
        self._connections = connections
        self._suspended: dict[DeviceLink, str] = {}
        faults.on_change.append(self._on_plan_change)

    def suspend_connect(self, device_id: str, link: DeviceLink) -> bool:
        """Suspend a connecting device if a black hole applies to it. Return whether one does."""
        if not self._faults.is_in_force(Action.BLACK_HOLE, device_id):
            return False
        self._suspend(device_id, link)
        return True

    def forget(self, link: DeviceLink) -> None:
        """Forget a link whose socket is closed."""
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
