"""Let late joiners into a rollout: devices that come to meet its condition while it is open.

They join the last wave, behind its other devices: the start order of these stays as it is, and no
wave that was judged gets new devices. From then on they are devices of the rollout like all others.

A rollout with joiners ends as any other does, when all its devices have ended. While an operator's
pause lasts devices join, and none starts. No device joins a rollout that is cancelled or rolled
back, or whose last wave is stopped by its gate; the search goes on when an operator resumes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import BLOCK_SIZE, Block, blocks_for, untouched_summaries
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.joining import Joining
from functions.rollouts.model.quotas import Quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import frozen, status, strata

# The time from the start of one search to the next: one query a minute is 5% of the query quota of
# an S1 unit, and the result of a query may be as old as that anyway.
SEARCH_INTERVAL = timedelta(minutes=1)
# The part of the hub's query quota that the searches of one rollout use at most. An S1 unit then
# has a page each 30 s: 10,000 devices that match are searched in 50 min.
MAX_QUERY_SHARE = 0.1
# Devices named in an event.
MAX_NAMED = 5

_OPEN = frozenset({RolloutStatus.RUNNING, RolloutStatus.PAUSED})


def takes_joiners(rollout: Rollout) -> bool:
    """Return whether devices that come to meet the condition now may join."""
    if not rollout.definition.target.joiners or not rollout.waves or rollout.is_over:
        return False
    last = rollout.waves[-1]
    is_stopped = last.status is WaveStatus.FAILED and not last.passed
    is_open = rollout.status in _OPEN and rollout.started_at is not None
    return is_open and rollout.rollback is None and not is_stopped


def may_join(rollout: Rollout, device: TargetDevice) -> bool:
    """Return whether a device may join now. A frozen stratum takes no device until it goes on."""
    return strata.find_stratum(rollout, device) not in frozen.frozen_strata(rollout)


def search_interval(limits: Quotas) -> timedelta:
    """Return the shortest time between the starts of two searches."""
    return SEARCH_INTERVAL / limits.scale


def page_interval(limits: Quotas) -> timedelta:
    """Return the time between two pages of a search."""
    return timedelta(seconds=1 / (limits.queries * MAX_QUERY_SHARE))


def expected_search(limits: Quotas, pages: int) -> timedelta:
    """Return the shortest time between two searches of `pages` pages."""
    return max(search_interval(limits), pages * page_interval(limits))


def is_due(rollout: Rollout, now: datetime, limits: Quotas) -> bool:
    """Return whether the next page of devices is to be queried."""
    joining = rollout.joining
    first = rollout.definition.created_at + search_interval(limits)
    return takes_joiners(rollout) and not joining.found and (joining.due_at or first) <= now


def record_page(
    rollout: Rollout,
    now: datetime,
    limits: Quotas,
    found: Sequence[TargetDevice],
    cursor: str | None,
) -> Rollout:
    """Record a page of a search: the devices that join, and the cursor of the next page.

    `found` are at most BLOCK_SIZE devices that are not in the rollout.
    """
    before = rollout.joining
    began_at = before.began_at if before.cursor is not None else now
    next_page = now + page_interval(limits)
    next_search = max((began_at or now) + search_interval(limits), next_page)
    is_complete = cursor is None
    joining = replace(
        before,
        found=tuple(found),
        cursor=cursor,
        began_at=began_at,
        checked_at=began_at if is_complete else before.checked_at,
        due_at=next_search if is_complete else next_page,
    )
    return replace(rollout, joining=joining)


def restart_search(rollout: Rollout, now: datetime, limits: Quotas) -> Rollout:
    """Begin the search again later, because the hub refused the condition or the cursor."""
    due_at = now + search_interval(limits)
    return replace(rollout, joining=replace(rollout.joining, cursor=None, due_at=due_at))


def block_numbers(rollout: Rollout) -> Mapping[str, int]:
    """Return the number of the block of each device that joins next, by device id."""
    return {
        device.device_id: position // BLOCK_SIZE
        for position, device in enumerate(rollout.joining.found, rollout.total)
    }


def add_found(
    rollout: Rollout, last_block: Block | None, now: datetime
) -> tuple[Rollout, Mapping[int, Block]]:
    """Let the found devices join. Return the rollout, and the changed and new blocks by number.

    `last_block` is the rollout's last block if it is not full. The devices are not counted yet:
    the ledger does that.
    """
    found, total = rollout.joining.found, rollout.total
    rollout = strata.prepare_strata(rollout, found)
    updates = [] if last_block is None else list(last_block.updates)
    updates += [_make_update(rollout, device, now) for device in found]
    first = total // BLOCK_SIZE
    blocks = {
        first + number: Block(first + number, tuple(updates[begin : begin + BLOCK_SIZE]))
        for number, begin in enumerate(range(0, len(updates), BLOCK_SIZE))
    }
    new_blocks = blocks_for(total + len(found)) - len(rollout.block_summaries)
    joining: Joining = replace(
        rollout.joining, found=(), joined=rollout.joining.joined + len(found)
    )
    grown = replace(
        rollout,
        joining=joining,
        block_summaries=(*rollout.block_summaries, *untouched_summaries(new_blocks)),
    )
    last = len(rollout.waves) - 1
    grown = status.change_wave(grown, last, _grow(rollout.waves[last], len(found)))
    return add_event(grown, now, "devicesJoined", _describe(rollout.waves[last], found)), blocks


def describe_end(rollout: Rollout) -> str:
    """Return a sentence for the end of a rollout that took joiners, or nothing."""
    if not rollout.definition.target.joiners:
        return ""
    joined = rollout.joining.joined
    how_many = f" {texts.count(joined, 'device')} joined while it was open." if joined else ""
    return f"{how_many} Devices that come to meet the condition from now on do not join."


def _grow(wave: Wave, devices: int) -> Wave:
    """Add devices to a wave. A wave that had ended runs again, and its gate judges it again."""
    had_ended = wave.status is WaveStatus.COMPLETED or wave.passed
    grown = replace(wave, size=wave.size + devices, ended_at=None, passed=False)
    return status.move_wave(grown, WaveStatus.RUNNING) if had_ended else grown


def _make_update(rollout: Rollout, device: TargetDevice, now: datetime) -> DeviceUpdate:
    message = "The device came to meet the rollout's condition, and joined it."
    return DeviceUpdate(
        device_id=device.device_id,
        wave=len(rollout.waves) - 1,
        queued_at=now,
        updated_at=now,
        stratum=strata.find_stratum(rollout, device),
        history=(HistoryEntry(DeviceState.QUEUED, 1, now, message),),
    )


def _describe(wave: Wave, found: Sequence[TargetDevice]) -> str:
    names = ", ".join(device.device_id for device in found[:MAX_NAMED])
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return f"{texts.count(len(found), 'device')} joined {texts.wave(wave.name)}: {names}{more}."
