"""Faults of connections carried out: dropped, held as by a black hole, their tokens expired."""

from simulator.hub.model.connections import Connections, DeviceLink
from simulator.hub.model.faults import Action, Faults


class BrokenLinks:
    """Acts when the fault plan changes, and remembers whom it holds."""

    def __init__(self, faults: Faults, connections: Connections):
        self._faults = faults
        self._connections = connections
        self._held: dict[DeviceLink, str] = {}
        faults.on_change.append(self._plan_changed)

    def swallows(self, device_id: str, link: DeviceLink) -> bool:
        """Whether a device that connects falls into a black hole; held from then on, if so."""
        if not self._faults.holds(Action.BLACK_HOLE, device_id):
            return False
        self._hold(device_id, link)
        return True

    def forget(self, link: DeviceLink) -> None:
        """The socket is gone."""
        self._held.pop(link, None)

    def _plan_changed(self) -> None:
        for device_id, link in self._connections.links:
            self._break(device_id, link)
        for link, device_id in list(self._held.items()):
            if not self._faults.holds(Action.BLACK_HOLE, device_id):
                del self._held[link]
                link.hold(held=False)

    def _break(self, device_id: str, link: DeviceLink) -> None:
        if self._faults.holds(Action.EXPIRE_TOKEN, device_id):
            self._faults.note_strike(Action.EXPIRE_TOKEN, device_id)
            if link.expires_at is not None:
                self._faults.expire(device_id, link.expires_at)
            link.close("a fault: the token counts as expired")
        elif self._faults.holds(Action.DROP, device_id):
            self._faults.note_strike(Action.DROP, device_id)
            link.close("a fault: the connection is dropped")
        elif link not in self._held and self._faults.holds(Action.BLACK_HOLE, device_id):
            self._hold(device_id, link)

    def _hold(self, device_id: str, link: DeviceLink) -> None:
        self._faults.note_strike(Action.BLACK_HOLE, device_id)
        self._held[link] = device_id
        link.hold(held=True)
