"""Log each audit event once it is stored, and queue its deliveries to webhooks.

The stored audit trail and the delivery positions are what counts; a queued delivery only says that
there may be something to deliver. So a crash between a commit and its delivery loses nothing: the
tick compares the open rollouts that it reads with what it has queued. Every SWEEP_INTERVAL, and in
the first tick of a process, it also queues deliveries of the rollouts that ended lately.

Without a webhook this costs nothing: a tick and a create read the webhooks together with the
freeze, and a commit uses what its process read last.
"""

import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from functions.dispatch_queue.port import Delivery
from functions.errors import UnavailableError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import Block
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.webhook import MAX_FAILING
from functions.use_cases.services import Services

SWEEP_INTERVAL = timedelta(minutes=10)

_log = logging.getLogger(__name__)


def save(
    services: Services,
    snapshot: Snapshot,
    rollout: Rollout,
    blocks: Sequence[Block] = (),
    older_events: Sequence[Event] = (),
) -> Snapshot:
    """Save a changed rollout and publish its new events. Raises as `RolloutStore.save`."""
    saved = services.stores.rollouts.save(snapshot, rollout, blocks, older_events)
    publish(services, snapshot.rollout, saved.rollout)
    return saved


def publish(services: Services, before: Rollout | None, rollout: Rollout) -> None:
    """Log the events that were stored since `before`, and queue their deliveries.

    `before` is None for a new rollout.
    """
    first = before.audit.event_count if before is not None else 0
    count = rollout.audit.event_count
    events = rollout.audit.events[first - count :] if count > first else ()
    services.telemetry.record_change(before, rollout, events)
    if not events:
        return
    for number, event in enumerate(events, count - len(events)):
        _log_event(rollout, number, event)
    is_queued = _queue_deliveries(services, rollout.id, events)
    if is_queued and rollout.id in services.feed.queued:
        services.feed.queued[rollout.id] = count


def check_open(services: Services, rollout: Rollout) -> None:
    """Queue deliveries if an open rollout has events that this process did not queue."""
    feed, count = services.feed, rollout.audit.event_count
    if not feed.webhooks or feed.queued.get(rollout.id) == count:
        return
    if _queue_deliveries(services, rollout.id):
        feed.queued[rollout.id] = count


def check_ended(services: Services, open_ids: Sequence[str]) -> None:
    """Queue deliveries of rollouts that have ended since the last tick, and of all at a sweep.

    Raises StorageUnavailableError.
    """
    feed, now = services.feed, services.clock()
    if services.webhooks is None:
        return
    if feed.swept_at is None:
        feed.learn(services.stores.webhooks.read_controls().webhooks)
    for rollout_id in feed.queued.keys() - set(open_ids):
        if _queue_deliveries(services, rollout_id):
            del feed.queued[rollout_id]
    if feed.swept_at is None or now - feed.swept_at >= SWEEP_INTERVAL:
        feed.swept_at = now
        sweep(services)


def sweep(services: Services) -> None:
    """Queue deliveries of all rollouts that are open or ended while a delivery may still fail."""
    if not services.feed.webhooks:
        return
    since = services.clock() - MAX_FAILING
    store = services.stores.rollouts
    for rollout_id in {*store.list_open_ids(), *store.list_ended_ids(since)}:
        _queue_deliveries(services, rollout_id)


def _queue_deliveries(
    services: Services, rollout_id: str, events: Sequence[Event] | None = None
) -> bool:
    """Queue a delivery per webhook that wants one of the events; None: any event.

    Return False if the queue is unavailable; the next tick repeats it.
    """
    if services.webhooks is None:
        return True
    try:
        for webhook in services.feed.webhooks:
            if events is None or any(webhook.wants(item.action, item.at) for item in events):
                services.webhooks.queue.put(Delivery(rollout_id, webhook.name), 0)
    except UnavailableError as error:
        _log.warning("rollout %s: deliveries to webhooks are not queued yet: %s", rollout_id, error)
        return False
    return True


def _log_event(rollout: Rollout, number: int, event: Event) -> None:
    """Log an event with the rollout as it was stored with it, as text and as fields.

    OpenTelemetry for Azure Monitor makes custom dimensions of the fields; the Functions host
    forwards the text alone.
    """
    counts, reason = rollout.counts, rollout.status_reason
    fields: dict[str, Any] = {
        "rolloutId": rollout.id,
        "eventNumber": number,
        "action": event.action,
        "by": event.by,
        "status": rollout.status.value,
        "reasonCode": reason.code if reason else "",
        "firmwareVersion": rollout.firmware.version,
        "total": counts.total,
        "queued": counts.queued,
        "updating": counts.updating + counts.soaking,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "skipped": counts.skipped,
    }
    text = " ".join(f"{name}={_quote(value)}" for name, value in fields.items())
    _log.info(
        "audit event: %s text=%s",
        text,
        json.dumps(event.message),
        extra={"event": "audit", **fields},
    )


def _quote(value: Any) -> str:
    text = str(value)
    return text if text.isascii() and text.replace("-", "").isalnum() else json.dumps(text)
