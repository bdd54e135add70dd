"""The hub: identity registry, twins, methods, queries, jobs and access control together."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace

from simulator.hub.model.access import Access
from simulator.hub.model.clock import Clock
from simulator.hub.model.cloud_to_device import CloudToDevice
from simulator.hub.model.configurations import RUN_SECONDS, Configurations
from simulator.hub.model.connection_faults import ConnectionFaults
from simulator.hub.model.connections import Connections
from simulator.hub.model.events import EventFeed, EventType
from simulator.hub.model.jobs import JobLimits, Jobs
from simulator.hub.model.json_types import from_json, to_json
from simulator.hub.model.metering import Operation
from simulator.hub.model.methods import Methods
from simulator.hub.model.persistence import Persistence
from simulator.hub.model.query.pages import Queries
from simulator.hub.model.quotas import Quota
from simulator.hub.model.registry import Registry
from simulator.hub.model.store import Store
from simulator.hub.model.traffic import Traffic
from simulator.hub.model.twins import Twins, TwinWrite


class Hub:
    """One IoT hub. `names` are its host names, `owner_key` is iothubowner's key (base64)."""

    def __init__(
        self,
        *,
        clock: Clock,
        owner_key: str,
        names: Iterable[str],
        query_lag_seconds: float = 0,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        quota: Quota | None = None,
        configuration_seconds: float = RUN_SECONDS,
    ) -> None:
        self.clock = clock
        self.traffic = Traffic(clock, quota)
        self.events = EventFeed()
        self.access = Access(owner_key=owner_key, names=names)
        self._store = Store()
        self.connections = Connections(self._store, clock)
        self.registry = Registry(self._store, clock, random_bytes)
        self.twins = Twins(self._store, clock, self.connections)
        self.methods = Methods(self._store, clock, self.connections)
        self.queries = Queries(self._store, clock, query_lag_seconds)
        self.configurations = Configurations(
            store=self._store,
            clock=clock,
            queries=self.queries,
            twins=self.twins,
            run_seconds=configuration_seconds,
        )
        self.persistence = Persistence(self._store, self.configurations)
        self.jobs = Jobs(
            clock=clock,
            queries=self.queries,
            methods=self.methods,
            twins=self.twins,
            limits=JobLimits() if quota is None else quota.jobs,
            admit=lambda device_id: self.traffic.admit(Operation.JOB_DEVICE, device_id),
        )
        self.queries.job_rows = self.jobs.rows
        self.messages = CloudToDevice(self._store, clock, self.connections)
        self.connection_faults = ConnectionFaults(self.traffic.faults, self.connections)
        self.connections.on_attached.append(self._on_connected)
        self.connections.on_lost.append(self._on_disconnected)
        self.twins.on_service_write.append(self._service_wrote)

    def accept_telemetry(self, device_id: str, properties: str = "", body: bytes = b"") -> None:
        """Record a device-to-cloud message; `properties` are the property bag of its topic."""
        now = self.clock.now()
        device = self.registry.get(device_id)
        self._store.put_device(replace(device, last_activity=now))
        self.events.append(now, EventType.TELEMETRY, device_id, detail=properties, body=body)

    def report(self, device_id: str, body: bytes) -> int:
        """Store reported properties given as JSON text. Return and raise as Twins.report."""
        version = self.twins.report(device_id, from_json(body))
        now = self.clock.now()
        self.events.append(
            now, EventType.TWIN_CHANGE, device_id, detail="reported", body=body, version=version
        )
        return version

    def _service_wrote(self, device_id: str, write: TwinWrite, version: int) -> None:
        now, body = self.clock.now(), to_json(write.document())
        self.events.append(
            now, EventType.TWIN_CHANGE, device_id, detail="service", body=body, version=version
        )

    def _on_connected(self, device_id: str) -> None:
        self.events.append(self.clock.now(), EventType.CONNECTED, device_id)

    def _on_disconnected(self, device_id: str) -> None:
        self.traffic.counters.disconnects += 1
        self.events.append(self.clock.now(), EventType.DISCONNECTED, device_id)
