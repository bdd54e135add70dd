"""A world whose events go to receivers of webhooks, all in memory on a virtual clock."""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

from functions.dispatch_queue.port import Delivery
from functions.outbound.port import AddressError, Outcome
from functions.use_cases.deliver import deliver
from functions.use_cases.webhook_ports import WebhookPorts
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.functions.use_cases.world import World


@dataclass(frozen=True, slots=True)
class Received:
    """One request that a receiver got."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class DeliveryQueueInMemory:
    """Implement `DeliveryQueue` on the world's clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count()
        self.waiting: list[tuple[Any, int, Delivery]] = []

    def put(self, delivery: Delivery, delay_seconds: float, /) -> None:
        visible_at = self._world.now + timedelta(seconds=delay_seconds)
        heapq.heappush(self.waiting, (visible_at, next(self._numbers), delivery))

    def take(self) -> Delivery | None:
        if not self.waiting or self.waiting[0][0] > self._world.now:
            return None
        return heapq.heappop(self.waiting)[2]


class Receivers:
    """Implement `Outbound`: respond as `respond` says, and keep what was accepted."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.attempts = 0
        self.respond: Callable[[Received], int | None] = lambda _: 200
        self.retry_after_seconds: float | None = None

    def check(self, url: str) -> None:
        if "private" in url:
            raise AddressError("the host has a private address")

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        self.attempts += 1
        request = Received(url, headers, body)
        status = self.respond(request)
        detail = f"status {status}" if status else "no response"
        outcome = Outcome(status, detail, self.retry_after_seconds)
        if outcome.is_success:
            self.received.append(request)
        return outcome

    def head(self, url: str) -> Outcome:
        raise NotImplementedError(url)

    def get_first_byte(self, url: str) -> Outcome:
        raise NotImplementedError(url)

    def ids(self, url: str = "") -> list[str]:
        return [item.headers["webhook-id"] for item in self.received if url in item.url]


class WorldWithReceivers(World):
    """A world with webhooks."""

    def __init__(self, fleet: Iterable[VirtualDevice], **more: Any) -> None:
        super().__init__(fleet, **more)
        self.deliveries = DeliveryQueueInMemory(self)
        self.receivers = Receivers()
        ports = WebhookPorts(queue=self.deliveries, outbound=self.receivers)
        self.services = replace(self.services, webhooks=ports)

    def deliver(self) -> None:
        """Run all deliveries that are visible now."""
        while (delivery := self.deliveries.take()) is not None:
            deliver(self.services, delivery)

    def pass_with_deliveries(self, *, hours: float, step_seconds: float = 10) -> None:
        """Let time pass with ticks and deliveries."""
        for _ in range(round(hours * 3600 / step_seconds)):
            self.tick(timedelta(seconds=step_seconds))
            self.deliver()
