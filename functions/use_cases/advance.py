"""One tick of the timer: bring every open rollout to where its devices say it is.

Two ticks at once, a late one, or one after a crash have the effect of one: whatever a tick
decides follows from what is stored and observed, and is stored only if nothing changed meanwhile.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import batched

from functions.errors import LostRaceError
from functions.rollout_store.port import Stored
from functions.rollouts.ending import end_if_over
from functions.rollouts.engine import Engine
from functions.rollouts.model import DeviceState, DeviceTwin, DeviceUpdate, Rollout
from functions.use_cases.dispatch import Assignment, Batch
from functions.use_cases.services import Services

# Up to this many twins are read one by one, and so are as fresh as can be; more are queried.
READ_ONE_BY_ONE_AT_MOST = 20
# An S1 hub takes 50 twin updates a second, and a device reports three times in an update: 16
# starts a second. A tick comes every ten seconds, and other traffic needs its share.
HANDED_OUT_AT_MOST = 100
BATCH_SIZE = 10

_log = logging.getLogger(__name__)


def advance(services: Services) -> Sequence[Batch]:
    """Advance all open rollouts; gives the batches whose methods are to be sent now.

    A rollout that fails to advance is logged and does not hold up the others.
    Raises StorageUnavailableError when the open rollouts cannot be read.
    """
    batches: list[Batch] = []
    left = HANDED_OUT_AT_MOST
    for rollout in services.store.open_rollouts():
        try:
            assignments = _advance(services, rollout, left)
        except Exception:  # noqa: BLE001 - whatever it is, the other rollouts go on
            _log.exception("rollout %s could not be advanced in this tick", rollout.record.id)
            continue
        left -= len(assignments)
        parts = batched(assignments, BATCH_SIZE, strict=False)
        batches += [Batch(rollout.record.id, part) for part in parts]
    return batches


def _advance(
    services: Services, rollout: Stored[Rollout], hand_out_at_most: int
) -> Sequence[Assignment]:
    stored = services.store.updates(rollout.record.id)
    moved = _follow(services, rollout.record, [item.record for item in stored])
    due = [item for item in moved if services.engine(rollout.record).is_due(item)]
    handed_out = {item.device_id for item in due[:hand_out_at_most]}
    engine = services.engine(rollout.record)
    moved = [engine.hand_out(item) if item.device_id in handed_out else item for item in moved]

    changed = [
        Stored(after, before.version)
        for before, after in zip(stored, moved, strict=True)
        if after is not before.record
    ]
    saved = services.store.save_updates(rollout.record.id, changed)
    if all(saved):
        _end_if_over(services, rollout, moved)
    return [
        Assignment(item.record.device_id, item.record.attempt, item.record.tries)
        for item in saved
        if item and item.record.device_id in handed_out
    ]


def _follow(
    services: Services, rollout: Rollout, updates: Sequence[DeviceUpdate]
) -> Sequence[DeviceUpdate]:
    """Observe the devices that are worth a look, then decide what time decides."""
    watched = [item.device_id for item in updates if _is_watched(item)]
    few = len(watched) <= READ_ONE_BY_ONE_AT_MOST
    twins = services.hub.fresh_twins(watched) if few else services.hub.twins(watched)
    observed = [_observe(services.engine(rollout), item, twins) for item in updates]
    if not few:
        engine = services.engine(rollout)
        unsure = [item.device_id for item in observed if engine.must_be_sure(item)]
        twins = {**twins, **services.hub.fresh_twins(unsure)}
        observed = [_observe(services.engine(rollout), item, twins) for item in observed]
    ticked = []
    for item in observed:
        after = services.engine(rollout).tick(item, twins.get(item.device_id))
        if after.state is not item.state:
            _log.info("rollout %s device %s: %s", rollout.id, after.device_id, after.explanation)
        ticked.append(after)
    return ticked


def _is_watched(update: DeviceUpdate) -> bool:
    """In flight, or waiting after a try; a device that was never asked has nothing to tell."""
    if update.state is DeviceState.QUEUED:
        return update.attempt > 1
    return not update.state.ended


def _observe(engine: Engine, update: DeviceUpdate, twins: Mapping[str, DeviceTwin]) -> DeviceUpdate:
    twin = twins.get(update.device_id)
    return engine.observe(update, twin) if twin is not None else update


def _end_if_over(
    services: Services, rollout: Stored[Rollout], updates: Sequence[DeviceUpdate]
) -> None:
    ended = end_if_over(rollout.record, updates, services.clock())
    if ended is rollout.record:
        return
    try:
        services.store.save_rollout(Stored(ended, rollout.version))
    except LostRaceError:
        return  # another tick ended it
    message = ended.status_reason.message if ended.status_reason else ""
    _log.info("rollout %s %s: %s", ended.id, ended.status.value, message)
