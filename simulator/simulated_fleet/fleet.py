"""Many devices on one event loop: who is connected, who connects next, and what is due when.

A connection is dialled by one of a few tasks, as a TLS handshake is work; from then on it costs
no task. Every event about a device ends in `_turn`, which does what is due and sets one timer.
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
from simulator.simulated_fleet.mqtt_connection import MqttConnection
from simulator.simulated_fleet.mqtt_session import KEEP_ALIVE_SECONDS, MqttSession
from simulator.simulated_fleet.sas import token
from simulator.simulated_fleet.tally import Tally
from simulator.simulated_fleet.timers import Timers

CONNECTING_TASKS = 64
CONNECT_SECONDS = 30.0
"""From the first packet of TCP to CONNACK."""
TOKEN_SECONDS = 3600
FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 30.0
GOODBYE_SECONDS = 3.0
_USER_NAME = "{host}/{device_id}/?api-version=2021-04-12"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubEndpoint:
    """The hub's MQTT side; `host` is the name in TLS, user names and tokens."""

    host: str
    port: int
    context: ssl.SSLContext


@dataclass(slots=True, kw_only=True, eq=False)
class _FleetDevice:
    device: SimulatedDevice
    key: str
    link: MqttConnection | None = None
    dial_at: float = 0.0
    give_up_at: float | None = None
    pause_seconds: float = FIRST_PAUSE_SECONDS


class Fleet:
    """`run` until cancelled. `keys` are base64, by device id."""

    def __init__(
        self,
        endpoint: HubEndpoint,
        devices: Iterable[SimulatedDevice],
        keys: dict[str, str],
        seed: int,
    ) -> None:
        """Nothing is dialled yet."""
        self._endpoint = endpoint
        self._random = random.Random(seed)
        self._entries = {
            device.device_id: _FleetDevice(device=device, key=keys[device.device_id])
            for device in devices
        }
        self._links: set[MqttConnection] = set()
        self._waiting: asyncio.Queue[_FleetDevice] = asyncio.Queue()
        self._timers: Timers[_FleetDevice] = Timers()
        self._alarm: asyncio.TimerHandle | None = None
        self._connects = 0
        self._trouble: str | None = None
        self._stopping = False
        self._all_gone = asyncio.Event()

    async def run(self) -> None:
        """Be the devices until cancelled; every connection is closed at the end."""
        self._loop = asyncio.get_running_loop()
        # Times must not go back, as the wall clock may.
        self._offset = time.time() - self._loop.time()
        try:
            async with asyncio.TaskGroup() as tasks:
                for entry in self._entries.values():
                    self._turn(entry)
                for _ in range(CONNECTING_TASKS):
                    tasks.create_task(self._dial_one_after_another())
        finally:
            await self._stop()

    def tally(self) -> Tally:
        """The fleet as it is now."""
        trouble, self._trouble = self._trouble, None
        return Tally.of(
            (entry.device for entry in self._entries.values()),
            connected=sum(link.is_open for link in self._links),
            connects=self._connects,
            trouble=trouble,
        )

    def made(self, link: MqttConnection) -> None:
        """TLS stands, and CONNECT is on its way."""
        entry = self._entries[link.device_id]
        entry.link, entry.give_up_at = link, self._now() + CONNECT_SECONDS
        self._links.add(link)

    def opened(self, link: MqttConnection) -> None:
        """The hub has accepted CONNECT."""
        self._connects += 1
        entry = self._entries[link.device_id]
        entry.give_up_at, entry.pause_seconds = None, FIRST_PAUSE_SECONDS

    def heard(self, link: MqttConnection) -> None:
        """Packets have been taken in."""
        self._turn(self._entries[link.device_id])

    def ended(self, link: MqttConnection, reason: str | None) -> None:
        """Come back after a pause, or as soon as the device wants to that has left."""
        self._links.discard(link)
        if self._stopping and not self._links:
            self._all_gone.set()
        entry = self._entries[link.device_id]
        entry.link, entry.give_up_at = None, None
        if reason is None:
            self._stand_aside(entry)
        else:
            self._pause(entry, reason)

    def _now(self) -> float:
        return self._loop.time() + self._offset

    def _turn(self, entry: _FleetDevice) -> None:
        now, device, link = self._now(), entry.device, entry.link
        if self._stopping:
            return
        device.advance(now)
        if link is not None and link.is_open:
            link.leave() if device.is_away else link.tick()
        elif link is not None and entry.give_up_at is not None and now >= entry.give_up_at:
            entry.give_up_at = None
            link.abort("the hub does not answer CONNECT")
        elif link is None and not device.is_away and now >= entry.dial_at:
            entry.dial_at = float("inf")  # in the queue, or being dialled
            self._waiting.put_nowait(entry)
        self._timers.put(entry, _due(entry))
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._timers.next_due
        when = None if due is None else due - self._offset
        if self._alarm is not None:
            if when is not None and self._alarm.when() <= when and not self._alarm.cancelled():
                return
            self._alarm.cancel()
        self._alarm = None if when is None else self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        for entry in list(self._timers.pop_due(self._now())):
            self._turn(entry)
        self._set_alarm()

    async def _dial_one_after_another(self) -> None:
        while True:
            entry = await self._waiting.get()
            if entry.device.is_away:
                self._stand_aside(entry)
                continue
            try:
                await self._dial(entry)
            except (OSError, TimeoutError) as error:
                if entry.link is None:
                    self._pause(entry, str(error) or "the hub does not answer")

    async def _dial(self, entry: _FleetDevice) -> None:
        endpoint = self._endpoint
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._loop.create_connection(
                lambda: self._new_link(entry),
                endpoint.host,
                endpoint.port,
                ssl=endpoint.context,
            )
        self._turn(entry)

    def _new_link(self, entry: _FleetDevice) -> MqttConnection:
        return MqttConnection(self, MqttSession(entry.device), self._connect(entry), self._now)

    def _connect(self, entry: _FleetDevice) -> Connect:
        host, device_id = self._endpoint.host, entry.device.device_id
        # Of different lengths, so that the hub does not end all connections in the same second.
        life = TOKEN_SECONDS * self._random.uniform(0.75, 1)
        password = token(f"{host}/devices/{device_id}", entry.key, int(time.time() + life))
        return Connect(
            client_id=device_id,
            clean_session=False,
            keep_alive=KEEP_ALIVE_SECONDS,
            user_name=_USER_NAME.format(host=host, device_id=device_id),
            password=password.encode(),
        )

    def _stand_aside(self, entry: _FleetDevice) -> None:
        entry.dial_at = self._now()
        self._turn(entry)

    def _pause(self, entry: _FleetDevice, trouble: str) -> None:
        """Longer from failure to failure, and cut at random by up to one half."""
        self._trouble = trouble
        entry.dial_at = self._now() + entry.pause_seconds * self._random.uniform(0.5, 1)
        entry.pause_seconds = min(2 * entry.pause_seconds, MAX_PAUSE_SECONDS)
        self._turn(entry)

    async def _stop(self) -> None:
        self._stopping = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._end(MqttConnection.leave, GOODBYE_SECONDS)
        await self._end(lambda link: link.abort("stopped"), GOODBYE_SECONDS)

    async def _end(self, how: Callable[[MqttConnection], None], seconds: float) -> None:
        if not self._links:
            return
        for link in list(self._links):
            how(link)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_gone.wait()


def _due(entry: _FleetDevice) -> float | None:
    device, link = entry.device, entry.link
    times = [device.due]
    if link is None and not device.is_away:
        times.append(entry.dial_at)
    elif link is not None:
        times.append(link.session.due if link.is_open else entry.give_up_at)
    return min((time for time in times if time is not None and time != float("inf")), default=None)
