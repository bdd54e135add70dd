"""The runs of the automatic configurations, which write to the twins that they target.

Source: Microsoft Learn, "Automatic device and module management using the Azure CLI": a first run
shortly after a change, then one every five minutes; the highest priority is applied, at equal
priority the one created last; a twin that is no longer targeted loses what was written. That a
twin has the settings of one configuration only, and that a run restores values that were changed
by hand, is unverified.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from simulator.hub.model.clock import Clock, Timer
from simulator.hub.model.configuration import (
    Configuration,
    ConfigurationSettings,
    as_patch,
    check_settings,
    combine_patches,
    configuration_document,
)
from simulator.hub.model.device import identity_etag
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.json_types import Document
from simulator.hub.model.query.pages import Queries
from simulator.hub.model.registry import Etag, check_etag
from simulator.hub.model.store import Entry, Store
from simulator.hub.model.twin_document import merge_patch
from simulator.hub.model.twins import Twins

RUN_SECONDS = 300.0
FIRST_RUN_SECONDS = 1.0
MAX_CONFIGURATIONS = 100

type ConfigurationJournal = Callable[[str, Configuration | None], None]
"""Called before a change is made: the id and the new configuration, None if it is deleted."""


class Configurations:
    """All configurations. Without any nothing runs; `run_seconds` is the time between two runs."""

    def __init__(
        self, *, store: Store, clock: Clock, queries: Queries, twins: Twins, run_seconds: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._queries = queries
        self._twins = twins
        self._run_seconds = run_seconds
        self._timer: Timer | None = None
        self._serial = 0
        self._results: dict[str, tuple[Document, Document]] = {}
        self.all: dict[str, Configuration] = {}
        self.journal: ConfigurationJournal | None = None

    def create(self, settings: ConfigurationSettings) -> Configuration:
        """Add a configuration.

        Raises CONFIGURATION_ALREADY_EXISTS, CONFIGURATION_COUNT_LIMIT_EXCEEDED, or what
        `check_settings` raises.
        """
        check_settings(settings)
        configuration_id = settings.configuration_id
        if configuration_id in self.all:
            message = f"configuration {configuration_id} already exists"
            raise HubError(ErrorCode.CONFIGURATION_ALREADY_EXISTS, message)
        if len(self.all) >= MAX_CONFIGURATIONS:
            message = f"the hub has {MAX_CONFIGURATIONS} configurations already, the maximum"
            raise HubError(ErrorCode.CONFIGURATION_COUNT_LIMIT_EXCEEDED, message)
        now = self._clock.now()
        return self._put(
            Configuration(serial=self._serial + 1, settings=settings, created=now, updated=now)
        )

    def update(self, settings: ConfigurationSettings, etag: Etag) -> Configuration:
        """Replace all settings but the content.

        Raises CONFIGURATION_NOT_FOUND, PRECONDITION_FAILED, or for other content
        CANNOT_MODIFY_IMMUTABLE_CONFIGURATION_CONTENT. Without content it stays as it is.
        """
        current = self.get(settings.configuration_id)
        check_etag(etag, identity_etag(current.etag))
        content = current.settings.content
        if settings.content not in ({}, content):
            message = "the content of a configuration cannot be changed"
            raise HubError(ErrorCode.CANNOT_MODIFY_IMMUTABLE_CONFIGURATION_CONTENT, message)
        settings = replace(settings, content=content)
        check_settings(settings)
        now = self._clock.now()
        return self._put(replace(current, settings=settings, updated=now, etag=current.etag + 1))

    def delete(self, configuration_id: str, etag: Etag) -> None:
        """Delete a configuration. The next run removes what it wrote."""
        check_etag(etag, identity_etag(self.get(configuration_id).etag))
        if self.journal is not None:
            self.journal(configuration_id, None)
        del self.all[configuration_id]
        self._results.pop(configuration_id, None)
        self.run_soon()

    def restore(self, configuration: Configuration) -> None:
        """Add a configuration that an earlier run stored."""
        self._put(configuration)

    def get(self, configuration_id: str) -> Configuration:
        """Return a configuration. Raises CONFIGURATION_NOT_FOUND."""
        try:
            return self.all[configuration_id]
        except KeyError:
            message = f"configuration {configuration_id} does not exist"
            raise HubError(ErrorCode.CONFIGURATION_NOT_FOUND, message) from None

    def document(self, configuration: Configuration) -> Document:
        """Return the JSON of the service API, with the metrics of the last run."""
        results = self._results.get(configuration.settings.configuration_id, ({}, {}))
        return configuration_document(configuration, *results)

    def run_soon(self) -> None:
        """Schedule a run shortly, instead of the one that was scheduled."""
        self._run_in(min(FIRST_RUN_SECONDS, self._run_seconds))

    def stop(self) -> None:
        """Cancel the next run: the hub has ended, its event loop perhaps not."""
        if self._timer is not None:
            self._timer.cancel()

    def run(self) -> None:
        """Write to every twin what the configurations want, then compute the metrics."""
        if self.all:
            self._run_in(self._run_seconds)
        targeted = {
            configuration_id: self._targets(configuration)
            for configuration_id, configuration in self.all.items()
        }
        wanted: dict[str, list[Configuration]] = {}
        for configuration_id, entries in targeted.items():
            for entry in entries:
                wanted.setdefault(entry.device.key, []).append(self.all[configuration_id])
        for entry in (*self._store.entries.values(), *self._store.modules.values()):
            configurations = wanted.get(entry.device.key, [])
            if configurations or entry.twin.configurations:
                self._reconcile(entry, configurations)
        for configuration_id, entries in targeted.items():
            self._results[configuration_id] = self._count_metrics(configuration_id, entries)

    def _put(self, configuration: Configuration) -> Configuration:
        configuration_id = configuration.settings.configuration_id
        if self.journal is not None:
            self.journal(configuration_id, configuration)
        self._serial = max(self._serial, configuration.serial)
        self.all[configuration_id] = configuration
        self.run_soon()
        return configuration

    def _run_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_later(seconds, self.run)

    def _targets(self, configuration: Configuration) -> list[Entry]:
        """Return the targeted entries that are still registered; a query may be behind."""
        query = configuration.target_query
        found = [] if query is None else self._queries.matching(query)
        return [entry for entry in found if self._store.has(entry.device.key)]

    def _reconcile(self, entry: Entry, configurations: list[Configuration]) -> None:
        """Write to a twin what its configurations want, if it differs."""
        ranked = sorted(configurations, key=lambda one: (one.settings.priority, one.serial))
        paths = ranked[-1].paths if ranked else {}
        shown: Document = {one.settings.configuration_id: {"status": "Targeted"} for one in ranked}
        if ranked:
            shown[ranked[-1].settings.configuration_id] = {"status": "Applied"}
        twin = entry.twin
        current = twin.desired.properties
        removal = _removal_patch(as_patch(twin.configured), as_patch(paths), current)
        patch = combine_patches(removal, as_patch(paths))
        if merge_patch(current, patch) == current:
            patch = {}
        if patch or shown != twin.configurations or paths != twin.configured:
            self._configure(entry.device.key, patch, shown, paths)

    def _configure(self, key: str, patch: Document, shown: Document, paths: Document) -> None:
        """Write to one twin. A twin that would become too large stays as it is, targeted only."""
        try:
            self._twins.configure(key, patch, shown, paths)
        except HubError:
            targeted: Document = {name: {"status": "Targeted"} for name in shown}
            twin = self._store.get(key).twin
            # A full disk refuses this too; the next run repeats it.
            with contextlib.suppress(HubError):
                self._twins.configure(key, {}, targeted, twin.configured)

    def _count_metrics(
        self, configuration_id: str, entries: list[Entry]
    ) -> tuple[Document, Document]:
        """Return the results of a configuration's own metrics and of the system metrics."""
        queries = self.all[configuration_id].settings.metric_queries
        own: Document = {
            name: len(self._queries.matching(str(query))) for name, query in queries.items()
        }
        applied = sum(
            self._store.get(entry.device.key).twin.configurations.get(configuration_id)
            == {"status": "Applied"}
            for entry in entries
        )
        return own, {"targetedCount": len(entries), "appliedCount": applied}


def _removal_patch(before: Document, after: Document, current: Document) -> Document:
    """Return a patch that removes from `current` what `before` wrote and `after` does not.

    Values that others wrote stay; an object that would become empty is removed.
    """
    patch: Document = {}
    for key, value in before.items():
        there, other = current.get(key), after.get(key, {})
        if isinstance(value, dict) and isinstance(there, dict) and isinstance(other, dict):
            below: Document | None = _removal_patch(value, other, there)
            if key not in after and not merge_patch(there, below or {}):
                below = None
            if below != {}:
                patch[key] = below
        elif key not in after:
            patch[key] = None
    return patch
