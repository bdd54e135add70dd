"""What waits at a connection: packets behind a delayed CONNECT, operations behind a throttle."""

from collections.abc import Callable

from simulator.hub.model.clock import Clock
from simulator.hub.mqtt.packets import Packet

MAX_WAITING = 100
"""How much one connection may have waiting before it is closed: memory is bounded."""


class TooManyWaitingError(Exception):
    """The device sends on although nothing is answered yet."""


class Backlog:
    """Packets kept in order while the session cannot take them."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []

    def add(self, packet: Packet) -> None:
        """Raises TooManyWaitingError."""
        if len(self.packets) >= MAX_WAITING:
            raise TooManyWaitingError("packets sent on and on before CONNACK")
        self.packets.append(packet)


class DelayedActions:
    """Actions that are carried out after a while, unless the connection has ended by then."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._waiting = 0
        self.is_ended = False

    def run(self, seconds: float, action: Callable[[], None]) -> None:
        """Now, if there is nothing to wait for. Raises TooManyWaitingError."""
        if not seconds:
            action()
            return
        if self._waiting >= MAX_WAITING:
            raise TooManyWaitingError("more operations sent than the throttle lets through")
        self._waiting += 1
        self._clock.call_later(seconds, lambda: self._due(action))

    def _due(self, action: Callable[[], None]) -> None:
        self._waiting -= 1
        if not self.is_ended:
            action()
