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
from simulator.simulated_fleet.device import LightDevice
from simulator.simulated_fleet.mqtt_connection import Link
from simulator.simulated_fleet.mqtt_session import KEEP_ALIVE_SECONDS, Dialogue
from simulator.simulated_fleet.sas import token
from simulator.simulated_fleet.tally import Tally
from simulator.simulated_fleet.timers import Timers

DIALLERS = 64
DIAL_SECONDS = 30.0
"""From the first packet of TCP to CONNACK."""
TOKEN_SECONDS = 3600
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
GOODBYE_SECONDS = 3.0
_USER_NAME = "{host}/{device_id}/?api-version=2021-04-12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The hub's MQTT side; `host` is the name in TLS, user names and tokens."""

    host: str
    port: int
    context: ssl.SSLContext


@dataclass(slots=True, kw_only=True, eq=False)
class _Member:
    device: LightDevice
    key: str
    link: Link | None = None
    dial_at: float = 0.0
    give_up_at: float | None = None
    pause_seconds: float = FIRST_PAUSE_SECONDS


class Fleet:
    """`run` until cancelled. `keys` are base64, by device id."""

    def __init__(
        self, door: Door, devices: Iterable[LightDevice], keys: dict[str, str], seed: int
    ) -> None:
        """Nothing is dialled yet."""
        self._door = door
        self._random = random.Random(seed)
        self._members = {
            device.device_id: _Member(device=device, key=keys[device.device_id])
            for device in devices
        }
        self._links: set[Link] = set()
        self._waiting: asyncio.Queue[_Member] = asyncio.Queue()
        self._timers: Timers[_Member] = Timers()
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
                for member in self._members.values():
                    self._turn(member)
                for _ in range(DIALLERS):
                    tasks.create_task(self._dial_one_after_another())
        finally:
            await self._stop()

    def tally(self) -> Tally:
        """The fleet as it is now."""
        trouble, self._trouble = self._trouble, None
        return Tally.of(
            (member.device for member in self._members.values()),
            connected=sum(link.is_open for link in self._links),
            connects=self._connects,
            trouble=trouble,
        )

    def made(self, link: Link) -> None:
        """TLS stands, and CONNECT is on its way."""
        member = self._members[link.device_id]
        member.link, member.give_up_at = link, self._now() + DIAL_SECONDS
        self._links.add(link)

    def opened(self, link: Link) -> None:
        """The hub has accepted CONNECT."""
        self._connects += 1
        member = self._members[link.device_id]
        member.give_up_at, member.pause_seconds = None, FIRST_PAUSE_SECONDS

    def heard(self, link: Link) -> None:
        """Packets have been taken in."""
        self._turn(self._members[link.device_id])

    def ended(self, link: Link, reason: str | None) -> None:
        """Come back after a pause, or as soon as the device wants to that has left."""
        self._links.discard(link)
        if self._stopping and not self._links:
            self._all_gone.set()
        member = self._members[link.device_id]
        member.link, member.give_up_at = None, None
        if reason is None:
            self._stand_aside(member)
        else:
            self._pause(member, reason)

    def _now(self) -> float:
        return self._loop.time() + self._offset

    def _turn(self, member: _Member) -> None:
        now, device, link = self._now(), member.device, member.link
        if self._stopping:
            return
        device.advance(now)
        if link is not None and link.is_open:
            link.leave() if device.is_away else link.tick()
        elif link is not None and member.give_up_at is not None and now >= member.give_up_at:
            member.give_up_at = None
            link.abort("the hub does not answer CONNECT")
        elif link is None and not device.is_away and now >= member.dial_at:
            member.dial_at = float("inf")  # in the queue, or being dialled
            self._waiting.put_nowait(member)
        self._timers.put(member, _due(member))
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
        for member in list(self._timers.pop_due(self._now())):
            self._turn(member)
        self._set_alarm()

    async def _dial_one_after_another(self) -> None:
        while True:
            member = await self._waiting.get()
            if member.device.is_away:
                self._stand_aside(member)
                continue
            try:
                await self._dial(member)
            except (OSError, TimeoutError) as error:
                if member.link is None:
                    self._pause(member, str(error) or "the hub does not answer")

    async def _dial(self, member: _Member) -> None:
        door = self._door
        async with asyncio.timeout(DIAL_SECONDS):
            await self._loop.create_connection(
                lambda: self._new_link(member),
                door.host,
                door.port,
                ssl=door.context,
            )
        self._turn(member)

    def _new_link(self, member: _Member) -> Link:
        return Link(self, Dialogue(member.device), self._connect(member), self._now)

    def _connect(self, member: _Member) -> Connect:
        host, device_id = self._door.host, member.device.device_id
        # Of different lengths, so that the hub does not end all connections in the same second.
        life = TOKEN_SECONDS * self._random.uniform(0.75, 1)
        password = token(f"{host}/devices/{device_id}", member.key, int(time.time() + life))
        return Connect(
            client_id=device_id,
            clean_session=False,
            keep_alive=KEEP_ALIVE_SECONDS,
            user_name=_USER_NAME.format(host=host, device_id=device_id),
            password=password.encode(),
        )

    def _stand_aside(self, member: _Member) -> None:
        member.dial_at = self._now()
        self._turn(member)

    def _pause(self, member: _Member, trouble: str) -> None:
        """Longer from failure to failure, and cut at random by up to one half."""
        self._trouble = trouble
        member.dial_at = self._now() + member.pause_seconds * self._random.uniform(0.5, 1)
        member.pause_seconds = min(2 * member.pause_seconds, LONGEST_PAUSE_SECONDS)
        self._turn(member)

    async def _stop(self) -> None:
        self._stopping = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._end(Link.leave, GOODBYE_SECONDS)
        await self._end(lambda link: link.abort("stopped"), GOODBYE_SECONDS)

    async def _end(self, how: Callable[[Link], None], seconds: float) -> None:
        if not self._links:
            return
        for link in list(self._links):
            how(link)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_gone.wait()


def _due(member: _Member) -> float | None:
    device, link = member.device, member.link
    times = [device.due]
    if link is None and not device.is_away:
        times.append(member.dial_at)
    elif link is not None:
        times.append(link.dialogue.due if link.is_open else member.give_up_at)
    return min((time for time in times if time is not None and time != float("inf")), default=None)
