"""Waiting packets and actions of a connection: after a delayed CONNECT, and behind a throttle."""

from collections.abc import Callable

from simulator.hub.model.clock import Clock
from simulator.hub.mqtt.packets import Packet

MAX_WAITING = 100
"""Waiting packets or actions of one connection, to limit its memory; one more closes it."""


class TooManyWaitingError(Exception):
    """The device sends too many packets without waiting for responses."""


class Backlog:
    """Packets kept in order while the session cannot take them."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []

    def add(self, packet: Packet) -> None:
        """Add a packet. Raises TooManyWaitingError."""
        if len(self.packets) >= MAX_WAITING:
            raise TooManyWaitingError(f"more than {MAX_WAITING} packets before CONNACK")
        self.packets.append(packet)


class DelayedActions:
    """Actions that run after a delay, unless the connection has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting = 0
        self.is_ended = False

    def run(self, seconds: float, action: Callable[[], None]) -> None:
        """Run the action after a delay, at once if it is 0. Raises TooManyWaitingError."""
        if not seconds:
            action()
            return
        if self._waiting >= MAX_WAITING:
            raise TooManyWaitingError(f"more than {MAX_WAITING} operations wait for the throttle")
        self._waiting += 1
        self._clock.call_later(seconds, lambda: self._due(action))

    def _due(self, action: Callable[[], None]) -> None:
        self._waiting -= 1
        if not self.is_ended:
            action()
