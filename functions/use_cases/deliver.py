"""Deliver the events of one rollout to one webhook: at least once, and in order.

The position says which event is next. It is claimed before the first request and moved after each
success, so two deliveries at once do not mix. A crash repeats at most one event, with the same id.
A receiver that fails holds up no other webhook: each pair of rollout and webhook has its own
position and its own queue messages.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus

from functions.dispatch_queue.port import Delivery
from functions.errors import LostRaceError, NewerSchemaError, StorageUnavailableError
from functions.outbound.port import Outcome
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model import texts
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.webhook import (
    MAX_FAILING,
    DeliveryPosition,
    Disabled,
    Failing,
    Webhook,
    delay_after,
)
from functions.use_cases.services import Services
from functions.use_cases.webhook_messages import Subject, make_message
from functions.use_cases.webhook_ports import WebhookPorts

# One request takes at most 30 s; the claim is renewed after each.
CLAIM = timedelta(seconds=60)
# A longer run gives others a turn; its rest is queued again.
MAX_RUN = timedelta(seconds=60)
MAX_EVENTS_PER_READ = 50
AGAIN_SECONDS = 5.0
# The clocks of two instances may differ by so much.
MAX_CLOCK_DIFFERENCE = timedelta(seconds=5)
STORAGE_PAUSE_SECONDS = 30.0
_MAX_ATTEMPTS = 5

_log = logging.getLogger(__name__)


def deliver(services: Services, delivery: Delivery) -> None:
    """Deliver what a queue message names.

    Raises StorageUnavailableError if the queue is down, NewerSchemaError if a newer release has
    stored the rollout or the webhook.
    """
    ports = services.webhooks
    if ports is None:
        return
    try:
        _deliver(services, ports, delivery)
    except LostRaceError:  # another delivery has claimed the position
        ports.queue.put(delivery, AGAIN_SECONDS)
    except NewerSchemaError:
        raise
    except StorageUnavailableError:
        _log.exception("rollout %s: the delivery waits for storage", delivery.rollout_id)
        ports.queue.put(delivery, STORAGE_PAUSE_SECONDS)


def _deliver(services: Services, ports: WebhookPorts, delivery: Delivery) -> None:
    stored = services.stores.webhooks.get(delivery.webhook)
    snapshot = services.stores.rollouts.get(delivery.rollout_id)
    if stored is None or stored.record.disabled is not None or snapshot is None:
        return
    run = _Run(services, ports, delivery, stored.record, snapshot)
    if run.has_events and run.is_due():
        run.start()


@dataclass(slots=True)
class _Run:
    """One run of deliveries to one webhook."""

    services: Services
    ports: WebhookPorts
    delivery: Delivery
    webhook: Webhook
    snapshot: Snapshot
    position: DeliveryPosition = field(init=False)
    version: str | None = None  # of the stored position; None: none is stored

    def __post_init__(self) -> None:
        stored = self.services.stores.webhooks.get_position(
            self.delivery.rollout_id, self.webhook.name
        )
        self.version = stored.version if stored else None
        is_own = stored is not None and stored.record.created_at == self.webhook.created_at
        fresh = DeliveryPosition(created_at=self.webhook.created_at)
        self.position = stored.record if stored is not None and is_own else fresh

    @property
    def has_events(self) -> bool:
        return self.position.next_event < self.snapshot.rollout.audit.event_count

    def is_due(self) -> bool:
        """Return whether to start now. If not, a message for later is in the queue."""
        now, position = self.services.clock(), self.position
        if position.busy_until is not None and position.busy_until > now:
            self.ports.queue.put(self.delivery, AGAIN_SECONDS)
            return False
        # A webhook that no longer fails is tried at once.
        retry_at = position.retry_at if self.webhook.failing is not None else None
        return retry_at is None or retry_at - now <= MAX_CLOCK_DIFFERENCE

    def start(self) -> None:
        """Send events until none is left, one fails, or MAX_RUN is over."""
        until = self.services.clock() + MAX_RUN
        self._save(busy_until=self.services.clock() + CLAIM)
        while self.has_events:
            first = self.position.next_event
            events = self.services.stores.rollouts.list_events_from(
                self.snapshot, first, MAX_EVENTS_PER_READ
            )
            if not events:
                break
            for number, event in enumerate(events, first):
                if not self._send(number, event):
                    return
            if self.services.clock() >= until:
                self.ports.queue.put(self.delivery, 0)
                break
            self._read_rollout()
        self._save(busy_until=None)

    def _read_rollout(self) -> None:
        found = self.services.stores.rollouts.get(self.delivery.rollout_id)
        self.snapshot = found or self.snapshot

    def _send(self, number: int, event: Event) -> bool:
        """Send an event if the webhook wants it. Return False if it failed."""
        if not self.webhook.wants(event.action, event.at):
            self.position = replace(self.position, next_event=number + 1)
            return True
        subject = Subject.of(self.snapshot.rollout, number, event)
        outcome = send(self.services, self.ports, self.webhook, subject)
        now = self.services.clock()
        if not outcome.is_success:
            self._record_failure(subject, outcome, now)
            return False
        self._save(
            next_event=number + 1,
            busy_until=now + CLAIM,
            failures=0,
            failing_since=None,
            retry_at=None,
        )
        if self.webhook.failing is not None:
            self._update_webhook(lambda webhook: replace(webhook, failing=None))
        return True

    def _record_failure(self, subject: Subject, outcome: Outcome, now: datetime) -> None:
        """Queue the next attempt, or disable the webhook; then store the failure."""
        # A changed webhook begins anew.
        since = max(self.position.failing_since or now, self.webhook.changed_at)
        failures = self.position.failures + 1
        pause = outcome.retry_after_seconds
        wait = timedelta(seconds=pause) if pause is not None else None
        delay = delay_after(failures, self.services.jitter(), wait)
        reason = _why_disabled(outcome, now - since)
        if reason is None:
            self.ports.queue.put(self.delivery, _whole_seconds(delay))
        _log.warning(
            "webhook %s: event %s was not delivered, attempt %d: %s",
            self.webhook.name, subject.id, failures, outcome.detail,
        )  # fmt: skip
        failing = Failing(since=since, at=now, event_id=subject.id, detail=outcome.detail)
        disabled = Disabled(at=now, reason=reason) if reason else None
        self._update_webhook(lambda item: replace(item, failing=failing, disabled=disabled))
        self._save(busy_until=None, failures=failures, failing_since=since, retry_at=now + delay)

    def _save(self, **changes: object) -> None:
        self.position = replace(self.position, **changes)  # type: ignore[arg-type]
        self.version = self.services.stores.webhooks.save_position(
            self.delivery.rollout_id, self.webhook.name, self.position, self.version
        )

    def _update_webhook(self, change: Callable[[Webhook], Webhook]) -> None:
        """Change the stored webhook, unless an operator has changed it since it was read."""
        store = self.services.stores.webhooks
        for _ in range(_MAX_ATTEMPTS):
            stored = store.get(self.webhook.name)
            if stored is None or stored.record.changed_at != self.webhook.changed_at:
                return
            changed = change(stored.record)
            try:
                store.save(changed, stored.version)
            except LostRaceError:
                continue
            self.webhook = changed
            if changed.disabled is not None:
                _log.error("webhook %s is disabled: %s", changed.name, changed.disabled.reason)
            return


def send(services: Services, ports: WebhookPorts, webhook: Webhook, subject: Subject) -> Outcome:
    """Send one event to a webhook. Raises nothing."""
    message = make_message(webhook, subject, services.clock(), ports.public_url)
    return ports.outbound.post(webhook.url, message.headers, message.body)


def _why_disabled(outcome: Outcome, failing: timedelta) -> str | None:
    if outcome.status == HTTPStatus.GONE:
        return "The receiver responded with status 410 (gone)."
    if failing >= MAX_FAILING:
        length = texts.duration(MAX_FAILING)
        return f"Deliveries have failed for {length}; the last one: {outcome.detail}."
    return None


def _whole_seconds(delay: timedelta) -> float:
    """Return whole seconds that end after the delay; the queue counts whole ones."""
    return math.ceil(delay.total_seconds()) + 1.0
