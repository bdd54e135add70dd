"""The hub itself: registry, twins, methods, queries and access, put together."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace

from simulator.hub.model.access import Access
from simulator.hub.model.clock import Clock
from simulator.hub.model.connections import Connections
from simulator.hub.model.methods import Methods
from simulator.hub.model.query.pages import Queries
from simulator.hub.model.registry import Registry
from simulator.hub.model.store import Store
from simulator.hub.model.twins import Twins


class Hub:
    """One IoT hub. `names` are the host names it answers to, `owner_key` iothubowner's key."""

    def __init__(
        self,
        *,
        clock: Clock,
        owner_key: str,
        names: Iterable[str],
        query_lag_seconds: float = 0,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ):
        self.clock = clock
        self.access = Access(owner_key=owner_key, names=names)
        self._store = Store()
        self.connections = Connections(self._store, clock)
        self.registry = Registry(self._store, clock, random_bytes)
        self.twins = Twins(self._store, clock, self.connections)
        self.methods = Methods(self._store, clock, self.connections)
        self.queries = Queries(self._store, clock, query_lag_seconds)

    def accept_telemetry(self, device_id: str) -> None:
        """A device-to-cloud message arrived. It goes nowhere yet; only the activity is noted."""
        device = self.registry.get(device_id)
        self._store.put_device(replace(device, last_activity=self.clock.now()))
