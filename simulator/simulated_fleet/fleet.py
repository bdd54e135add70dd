"""Run many simulated devices on one event loop: connect them and wake each when it is due.

A few tasks open the connections, because a TLS handshake takes CPU time; an open connection needs
no task. Every event of a device ends in `_process`, which does what is due and sets one timer.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from simulator.hub.mqtt.packets import Connect
from simulator.simulated_fleet.device import SimulatedDevice
from simulator.simulated_fleet.fleet_device import FIRST_PAUSE_SECONDS, FleetDevice
from simulator.simulated_fleet.mqtt_connection import MqttConnection
from simulator.simulated_fleet.mqtt_session import KEEP_ALIVE_SECONDS, MqttSession
from simulator.simulated_fleet.sas import token
from simulator.simulated_fleet.tally import Tally
from simulator.simulated_fleet.timers import Timers

# Connections that are opened at the same time.
CONNECTING_TASKS = 64
# From the first packet of TCP to CONNACK.
CONNECT_SECONDS = 30.0
TOKEN_SECONDS = 3600
MAX_PAUSE_SECONDS = 30.0
DISCONNECT_SECONDS = 3.0
_USER_NAME = "{host}/{device_id}/?api-version=2021-04-12"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubEndpoint:
    """The hub's endpoint for MQTT over TLS."""

    host: str
    """The host name, also in TLS, user names and tokens."""
    port: int
    """The TCP port."""
    context: ssl.SSLContext
    """The TLS context with the authority to trust."""


class Fleet:
    """The devices of one process."""

    def __init__(
        self,
        endpoint: HubEndpoint,
        devices: Iterable[SimulatedDevice],
        keys: dict[str, str],
        seed: int,
    ) -> None:
        """Prepare the devices without connecting; `keys` are base64, by device id."""
        self._endpoint = endpoint
        self._random = random.Random(seed)
        self._entries = {
            device.device_id: FleetDevice(device=device, key=keys[device.device_id])
            for device in devices
        }
        self._connections: set[MqttConnection] = set()
        self._waiting: asyncio.Queue[FleetDevice] = asyncio.Queue()
        self._timers: Timers[FleetDevice] = Timers()
        self._alarm: asyncio.TimerHandle | None = None
        self._connects = 0
        self._trouble: str | None = None
        self._stopping = False
        self._all_closed = asyncio.Event()

    async def run(self) -> None:
        """Run the devices until cancelled, then close every connection."""
        self._loop = asyncio.get_running_loop()
        # Times must never decrease, but the wall clock may.
        self._offset = time.time() - self._loop.time()
        try:
            async with asyncio.TaskGroup() as tasks:
                for entry in self._entries.values():
                    self._process(entry)
                for _ in range(CONNECTING_TASKS):
                    tasks.create_task(self._connect_waiting())
        finally:
            await self._stop()

    def tally(self) -> Tally:
        """Count the devices as they are now."""
        trouble, self._trouble = self._trouble, None
        return Tally.of(
            (entry.device for entry in self._entries.values()),
            connected=sum(connection.is_open for connection in self._connections),
            connects=self._connects,
            trouble=trouble,
        )

    def on_made(self, connection: MqttConnection) -> None:
        """Record that TLS is established and CONNECT is sent."""
        entry = self._entries[connection.device_id]
        entry.connection, entry.give_up_at = connection, self._now() + CONNECT_SECONDS
        self._connections.add(connection)

    def on_open(self, connection: MqttConnection) -> None:
        """Record that the hub has accepted CONNECT."""
        self._connects += 1
        entry = self._entries[connection.device_id]
        entry.give_up_at, entry.pause_seconds = None, FIRST_PAUSE_SECONDS

    def on_packets(self, connection: MqttConnection) -> None:
        """Process the device after its session has received packets."""
        self._process(self._entries[connection.device_id])

    def on_end(self, connection: MqttConnection, reason: str | None) -> None:
        """Connect again after a pause, or once a device that has disconnected is due."""
        self._connections.discard(connection)
        if self._stopping and not self._connections:
            self._all_closed.set()
        entry = self._entries[connection.device_id]
        entry.connection, entry.give_up_at = None, None
        if reason is None:
            self._set_aside(entry)
        else:
            self._pause(entry, reason)

    def _now(self) -> float:
        return self._loop.time() + self._offset

    def _process(self, entry: FleetDevice) -> None:
        now, device, connection = self._now(), entry.device, entry.connection
        if self._stopping:
            return
        device.advance(now)
        if connection is not None and connection.is_open:
            connection.disconnect() if device.is_away else connection.tick()
        elif connection is not None and entry.give_up_at is not None and now >= entry.give_up_at:
            entry.give_up_at = None
            connection.abort("the hub does not respond to CONNECT")
        elif connection is None and not device.is_away and now >= entry.connect_at:
            entry.connect_at = float("inf")  # in the queue, or being connected
            self._waiting.put_nowait(entry)
        self._timers.put(entry, entry.due)
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._timers.next_due
        when = None if due is None else due - self._offset
        if self._alarm is not None:
            if when is not None and self._alarm.when() <= when and not self._alarm.cancelled():
                return
            self._alarm.cancel()
        self._alarm = None if when is None else self._loop.call_at(when, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        for entry in list(self._timers.pop_due(self._now())):
            self._process(entry)
        self._set_alarm()

    async def _connect_waiting(self) -> None:
        while True:
            entry = await self._waiting.get()
            if entry.device.is_away:
                self._set_aside(entry)
                continue
            try:
                await self._open(entry)
            except (OSError, TimeoutError) as error:
                if entry.connection is None:
                    self._pause(entry, str(error) or "the hub does not respond")

    async def _open(self, entry: FleetDevice) -> None:
        endpoint = self._endpoint
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._loop.create_connection(
                lambda: self._new_connection(entry),
                endpoint.host,
                endpoint.port,
                ssl=endpoint.context,
            )
        self._process(entry)

    def _new_connection(self, entry: FleetDevice) -> MqttConnection:
        return MqttConnection(
            self, MqttSession(entry.device), self._connect_packet(entry), self._now
        )

    def _connect_packet(self, entry: FleetDevice) -> Connect:
        host, device_id = self._endpoint.host, entry.device.device_id
        # Lifetimes vary, so that the hub does not end all connections in the same second.
        lifetime = TOKEN_SECONDS * self._random.uniform(0.75, 1)
        password = token(f"{host}/devices/{device_id}", entry.key, int(time.time() + lifetime))
        return Connect(
            client_id=device_id,
            clean_session=False,
            keep_alive=KEEP_ALIVE_SECONDS,
            user_name=_USER_NAME.format(host=host, device_id=device_id),
            password=password.encode(),
        )

    def _set_aside(self, entry: FleetDevice) -> None:
        entry.connect_at = self._now()
        self._process(entry)

    def _pause(self, entry: FleetDevice, trouble: str) -> None:
        """Pause longer after each failure, reduced at random by up to one half."""
        self._trouble = trouble
        entry.connect_at = self._now() + entry.pause_seconds * self._random.uniform(0.5, 1)
        entry.pause_seconds = min(2 * entry.pause_seconds, MAX_PAUSE_SECONDS)
        self._process(entry)

    async def _stop(self) -> None:
        self._stopping = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._end(MqttConnection.disconnect, DISCONNECT_SECONDS)
        await self._end(lambda connection: connection.abort("stopped"), DISCONNECT_SECONDS)

    async def _end(self, how: Callable[[MqttConnection], None], seconds: float) -> None:
        if not self._connections:
            return
        for connection in list(self._connections):
            how(connection)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_closed.wait()
