"""Judge the hub's health in one tick, for all rollouts that the tick advances."""

import logging
from dataclasses import replace
from datetime import datetime

from functions.errors import DailyQuotaError, HubRefusedError, HubUnavailableError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.outage import HubHealth
from functions.rollouts.rollout import breaker, refusal
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services

_log = logging.getLogger(__name__)


class HubWatch:
    """The hub's health while a tick goes on. Each rollout's load is judged before it leases."""

    def __init__(self, health: HubHealth) -> None:
        self._health = health
        self._has_read: bool | None = None  # None: nothing was read in this tick
        self._silent = 0  # methods without a response, in all rollouts
        self._responded = 0
        self._example = ""
        self._compared: set[tuple[str, int | None]] = set()
        self._read_refused = False
        self.is_refused = False  # a probe showed that the hub still refuses this app

    def probe_access(self, services: Services) -> None:
        """Call the hub once if it refused this app. If it still does, the tick calls nothing."""
        incident = self._health.incident
        if incident is None or not incident.is_refusal:
            return
        try:
            services.hub.ping()
        except HubRefusedError as error:
            self._health = refusal.refuse_access(self._health, str(error))
            self.is_refused = True
            _log.error(  # the alert `hub-refuses-access` finds it by its `event`
                "the hub refuses this app since %s: %s",
                incident.since,
                error,
                extra={"event": "hubRefusesAccess", "since": incident.since.isoformat()},
            )
        except DailyQuotaError:
            self._health = refusal.accept_access(self._health)
        except HubUnavailableError:
            self._health = replace(self._health, incident=replace(incident, is_refusal=False))
        else:
            self._health = refusal.accept_access(self._health)

    def show_refusal(self, services: Services, snapshot: Snapshot) -> None:
        """Let a rollout say that the hub refuses this app. Store nothing if it does already."""

        def decide(moment: Moment, stored: Snapshot) -> Change | None:
            load = breaker.forget_calls(stored.rollout.measured.hub_load)
            shown = breaker.show(stored.rollout.with_hub_load(load), self._health, moment.now)
            return None if shown == stored.rollout else Change(shown)

        commit(services, snapshot, decide)

    def record_read(self, *, has_read: bool) -> None:
        """Record that the reads of a rollout succeeded, if there were any."""
        if has_read:
            self._has_read = True

    def record_failed_read(
        self, services: Services, rollout_id: str, error: HubUnavailableError
    ) -> None:
        """Record failed reads, and show the rollout that the hub fails if it is known to."""
        if self._has_read is None:
            self._has_read = False
        self._read_refused = isinstance(error, HubRefusedError)
        self._example = str(error)
        snapshot = services.stores.rollouts.get(rollout_id)
        if snapshot is None or self._health.incident is None or not snapshot.rollout.waves:
            return

        def decide(moment: Moment, stored: Snapshot) -> Change:
            return Change(breaker.show(stored.rollout, self._health, moment.now))

        commit(services, snapshot, decide)

    def compare_once(self, rollout_id: str, stratum: int | None) -> bool:
        """Return whether a stratum of a rollout is compared for the first time in this tick."""
        is_first = (rollout_id, stratum) not in self._compared
        self._compared.add((rollout_id, stratum))
        return is_first

    def judge(self, load: HubLoad, now: datetime) -> HubHealth:
        """Return the hub's health with a rollout's load. `accept` keeps it.

        Silent devices of one rollout are judged with the responses of all, at the end of the tick.
        """
        if self._health.incident is None:
            load = replace(load, silent=0)
        return breaker.judge(self._health, load, now)

    def accept(self, load: HubLoad, sent: int, now: datetime) -> None:
        """Keep the health with the load of a stored decision that leased `sent` devices."""
        if self._health.incident is None:
            self._silent += load.silent
            self._example = load.example or self._example
        self._responded += load.responded
        self._health = breaker.take_probe(self.judge(load, now), sent, now)

    def end_tick(self, now: datetime) -> HubHealth:
        """Return the hub's health with this tick's reads."""
        if self.is_refused:
            return self._health
        has_read, refused = self._has_read, self._has_read is False and self._read_refused
        silent = 0 if self._health.incident else self._silent
        responded = self._responded if silent else 0
        load = HubLoad(silent=silent, responded=responded, example=self._example)
        return breaker.judge(self._health, load, now, has_read=has_read, read_refused=refused)
