"""One tick of the timer: bring every open rollout to where its devices say it is.

Two ticks at once, a late one, or one after a crash have the effect of one: whatever a tick
decides follows from what is stored and observed, and is stored only if nothing changed meanwhile.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import batched

from functions.errors import LostRaceError
from functions.hub_gateway.port import HubGateway
from functions.rollout_store.port import Stored
from functions.rollouts.ending import end_if_over
from functions.rollouts.engine import Engine
from functions.rollouts.model import DeviceTwin, DeviceUpdate, Rollout
from functions.use_cases.dispatch import Assignment, Batch
from functions.use_cases.services import Services

# Up to this many twins are read one by one, and so are as fresh as can be; more are queried.
READ_ONE_BY_ONE_AT_MOST = 20
# Queries are the hub's scarcest read: 20 a minute on a unit of S1, 100 twins each. With a tick
# every ten seconds this takes 18 of them; of more devices, some are left to the next ticks.
QUERIED_AT_MOST = 300
# Fresh reads before decisions that cannot be taken back; the hub gives 100 a second.
READ_AGAIN_AT_MOST = 100
# An S1 hub takes 50 twin updates a second, and a device reports three times in an update: 16
# starts a second. A tick comes every ten seconds, and other traffic needs its share.
HANDED_OUT_AT_MOST = 100
BATCH_SIZE = 10

_log = logging.getLogger(__name__)

type Twins = Mapping[str, DeviceTwin | None]


def advance(services: Services) -> Sequence[Batch]:
    """Advance all open rollouts; gives the batches whose methods are to be sent now.

    A rollout that fails to advance is logged and does not hold up the others.
    Raises StorageUnavailableError when the open rollouts cannot be read.
    """
    batches: list[Batch] = []
    left = HANDED_OUT_AT_MOST
    for rollout_id in services.store.open_rollout_ids():
        try:
            assignments = _advance(services, rollout_id, left)
        except Exception:  # noqa: BLE001 - whatever it is, the other rollouts go on
            _log.exception("rollout %s could not be advanced in this tick", rollout_id)
            continue
        left -= len(assignments)
        parts = batched(assignments, BATCH_SIZE, strict=False)
        batches += [Batch(rollout_id, part) for part in parts]
    return batches


def _advance(services: Services, rollout_id: str, hand_out_at_most: int) -> Sequence[Assignment]:
    rollout = services.store.rollout(rollout_id)
    if rollout is None or rollout.record.status.ended:
        return []
    stored = services.store.updates(rollout.record.id)
    before = [item.record for item in stored]
    # One moment for all decisions: what is due must have been looked at and decided on.
    engine = services.engine(rollout.record)
    twins = _look(services.hub, engine, before)
    moved = [_follow(engine, item, twins) for item in before]
    handed_out = {item.device_id for item in _due(engine, moved, twins)[:hand_out_at_most]}
    moved = [engine.hand_out(item) if item.device_id in handed_out else item for item in moved]

    changed = [
        Stored(after, item.version)
        for item, after in zip(stored, moved, strict=True)
        if after is not item.record
    ]
    saved = services.store.save_updates(rollout.record.id, changed)
    if all(saved):
        _end_if_over(services, rollout, moved)
    return [
        Assignment(item.record.device_id, item.record.attempt, item.record.claims)
        for item in saved
        if item and item.record.device_id in handed_out
    ]


def _look(hub: HubGateway, engine: Engine, updates: Sequence[DeviceUpdate]) -> Twins:
    """The twins of devices that are worth a look, as fresh as the decisions ahead need them.

    None stands for a device that the hub does not know; one that is missing was not read.
    """
    watched = [item.device_id for item in updates if engine.is_watched(item)]
    if len(watched) <= READ_ONE_BY_ONE_AT_MOST:
        return hub.fresh_twins(watched) if watched else {}
    twins: Twins = hub.twins(_part(watched, engine.jitter()))
    observed = [_observe(engine, item, twins) for item in updates]
    unsure = [item.device_id for item in observed if engine.must_be_sure(item)]
    again = unsure[:READ_AGAIN_AT_MOST]
    fresh = hub.fresh_twins(again) if again else {}
    # Without a fresh look there is no decision that cannot be taken back.
    left_out = set(unsure) - set(fresh)
    return {key: twin for key, twin in twins.items() if key not in left_out} | dict(fresh)


def _part(watched: Sequence[str], chance: float) -> Sequence[str]:
    """As many of the devices as may be queried; by chance others in the next tick."""
    start = int(chance * len(watched)) % len(watched)
    return [*watched[start:], *watched[:start]][:QUERIED_AT_MOST]


def _follow(engine: Engine, update: DeviceUpdate, twins: Twins) -> DeviceUpdate:
    """Observe one device, then decide what time decides."""
    observed = _observe(engine, update, twins)
    if engine.must_be_sure(observed) and update.device_id not in twins:
        return observed
    after = engine.tick(observed, twins.get(update.device_id))
    if after.state is not update.state:
        rollout_id = engine.rollout.id
        _log.info("rollout %s device %s: %s", rollout_id, after.device_id, after.explanation)
    return after


def _observe(engine: Engine, update: DeviceUpdate, twins: Twins) -> DeviceUpdate:
    twin = twins.get(update.device_id)
    return engine.observe(update, twin) if twin is not None else update


def _due(engine: Engine, updates: Sequence[DeviceUpdate], twins: Twins) -> Sequence[DeviceUpdate]:
    """What may be sent now; an attempt in doubt only after a look at its twin."""
    return [
        item
        for item in updates
        if engine.is_due(item) and (not item.in_doubt or item.device_id in twins)
    ]


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
