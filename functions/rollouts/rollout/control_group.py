"""Compare devices that are about to fail as unreachable with devices that are not being updated.

A control group are devices of the same stratum that are queued, or completed long ago. If chance
does not explain how many of them are offline (`outage_chance.py`), an outage begins. A group with
too few devices tells nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import AMBIENT, Outage
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import OfflinePolicy
from functions.rollouts.rollout import outage_chance, outages
from functions.rollouts.rollout.outage_chance import (
    MIN_SIZE,
    Control,
    expected_of,
    is_outage,
    is_outage_over,
)

# A device that completed at least this long ago is not offline because of the firmware.
LONG_AGO = timedelta(minutes=15)
# From this many devices of one block that are left out as offline, an outage may be the cause.
MIN_LEFT_OUT = 5

_UNREACHED = frozenset({ErrorCode.WENT_DARK, ErrorCode.TIMED_OUT, ErrorCode.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Group:
    """The devices of a control group."""

    device_ids: Sequence[str]
    of_all: bool  # of all strata, because its own has too few


def find_suspects(before: Block, after: Block) -> frozenset[int | None]:
    """Return the strata of devices that are about to fail for a reason that an outage has too."""
    moved = [
        (old, new)
        for old, new in zip(before.updates, after.updates, strict=True)
        if old is not new and old.state is not new.state
    ]
    left_out = [new for _, new in moved if new.skip_reason is SkipReason.OFFLINE]
    if len(left_out) < max(MIN_LEFT_OUT, len(moved) / 2):
        left_out = []
    failed = [new for old, new in moved if _is_suspect(old, new)]
    return frozenset(item.stratum for item in (*failed, *left_out))


def choose(
    blocks: Iterable[Block], strata: Sequence[int | None], now: datetime, rows: int
) -> Mapping[int | None, Group]:
    """Choose the control group of each stratum, `rows` devices in all.

    Queued devices, which no firmware can have harmed, come first. A stratum with too few has
    devices of all strata. So has each of more strata than `rows` divides into groups.
    """
    queued, completed = _find_candidates(blocks, now)
    share = rows // max(1, len(strata))
    if share < MIN_SIZE:
        return dict.fromkeys(strata, _to_group(_choose_of_all(queued, completed, rows)))
    return {stratum: _choose_one(queued, completed, stratum, share) for stratum in strata}


def choose_of_all(blocks: Iterable[Block], now: datetime, rows: int) -> Sequence[DeviceUpdate]:
    """Choose at most `rows` devices of all strata."""
    return _choose_of_all(*_find_candidates(blocks, now), rows)


def is_away(rollout: Rollout, control: Control) -> bool:
    """Return whether a stratum is away as a whole, by devices of its own."""
    return not control.of_all and outage_chance.is_away(
        control, expected_of(rollout, control.stratum)
    )


def _find_candidates(
    blocks: Iterable[Block], now: datetime
) -> tuple[Sequence[DeviceUpdate], Sequence[DeviceUpdate]]:
    """Return the queued and the completed devices that may be in a control group."""
    queued: list[DeviceUpdate] = []
    completed: list[DeviceUpdate] = []
    for update in (update for block in blocks for update in block.updates):
        if _is_untouched(update):
            queued.append(update)
        elif update.state is DeviceState.COMPLETED and _is_long_ago(update, now):
            completed.append(update)
    # Devices that completed during an outage were not hit by it, so those before it come first.
    completed.sort(key=lambda item: item.ended_at or now)
    return queued, completed


def judge(rollout: Rollout, controls: Iterable[Control], now: datetime) -> Rollout:
    """Begin, renew or end the ambient outages of the strata that were compared."""
    for control in controls:
        rollout = _judge(rollout, control, now)
    return rollout


def _judge(rollout: Rollout, control: Control, now: datetime) -> Rollout:
    known = outages.find_open(rollout, AMBIENT, control.stratum)
    groups = [item for item in (control, control.fleet) if item and item.size >= MIN_SIZE]
    if not groups:
        too_few = _describe_too_few(rollout, control)
        told = _tell_unchecked(rollout, too_few, now)
        return outages.end(told, now, AMBIENT, control.stratum, too_few)
    group = next((item for item in groups if _shows(rollout, item, known, len(groups))), None)
    if group is None:
        return outages.end(rollout, now, AMBIENT, control.stratum)
    if not _is_permanent(rollout, control, now):
        message = _describe(rollout, group)
        outage = Outage(
            code=AMBIENT, message=message, since=now, stratum=control.stratum, checked_at=now
        )
        return outages.begin(rollout, now, outage)
    return outages.end(rollout, now, AMBIENT, control.stratum, _describe_longest(rollout))


def _shows(rollout: Rollout, group: Control, known: Outage | None, groups: int) -> bool:
    """Return whether a group shows that an outage begins, or that the known one lasts."""
    expected = expected_of(rollout, group.stratum, of_all=group.of_all)
    if known is None:
        return is_outage(group, expected, groups)
    return not is_outage_over(group, expected, groups)


def _is_permanent(rollout: Rollout, control: Control, now: datetime) -> bool:
    """Return whether an outage of the stratum lasted as long as offline devices are waited for."""
    longest = rollout.strategy.offline.deadline
    return any(
        item.code == AMBIENT
        and item.stratum == control.stratum
        and (item.until or now) - item.since >= longest
        for item in rollout.outages
    )


def _tell_unchecked(rollout: Rollout, too_few: str, now: datetime) -> Rollout:
    """Record once that failures count without a comparison."""
    if rollout.outage_unchecked:
        return rollout
    told = replace(rollout, outage_unchecked=True)
    return add_event(told, now, "outageUnchecked", too_few)


def _describe_too_few(rollout: Rollout, control: Control) -> str:
    size = control.size
    return (
        f"Devices that are not reached {_describe_end(rollout)}: only {texts.count(size, 'device')}"
        f" {texts.to_be(size)} not being updated, and at least {MIN_SIZE} are needed to tell an"
        " outage from bad firmware."
    )


def _describe_longest(rollout: Rollout) -> str:
    longest = texts.duration(rollout.strategy.offline.deadline)
    return (
        f"It lasted as long as offline devices are waited for ({longest}): devices that are not"
        f" reached {_describe_end(rollout)} from now on."
    )


def _describe_end(rollout: Rollout) -> str:
    """Return what becomes of devices that are not reached."""
    is_left_out = rollout.strategy.offline.policy is OfflinePolicy.SKIP
    return "are skipped, or count as failed" if is_left_out else "count as failed"


def _describe(rollout: Rollout, control: Control) -> str:
    expected = expected_of(rollout, control.stratum, of_all=control.of_all)
    share = max(item.share for item in expected)
    where = "" if control.stratum is None else f" of {rollout.strata[control.stratum]}"
    if control.of_all:
        where = ""
    return (
        f"{control.size - control.connected} of {control.size} devices{where} that are not being"
        f" updated are offline too; usually {round(100 * share)}% are connected. Nothing starts,"
        " and devices that are not reached do not count, until they are back."
    )


def _is_suspect(old: DeviceUpdate, new: DeviceUpdate) -> bool:
    if new.state is DeviceState.FAILED:
        return new.error is not None and new.error.code in _UNREACHED
    has_lost_attempt = new.state is DeviceState.QUEUED and new.attempts_used > old.attempts_used
    is_running = DeviceState.ACCEPTED.rank <= old.state.rank < DeviceState.SOAKING.rank
    return has_lost_attempt and is_running and new.firmware_status != "failed"


def _is_untouched(update: DeviceUpdate) -> bool:
    return (
        update.state is DeviceState.QUEUED
        and update.attempt == 1
        and update.dispatched_at is None
        and update.waiting_since is None
    )


def _is_long_ago(update: DeviceUpdate, now: datetime) -> bool:
    return update.ended_at is not None and update.ended_at <= now - LONG_AGO


def _choose_one(
    queued: Sequence[DeviceUpdate],
    completed: Sequence[DeviceUpdate],
    stratum: int | None,
    rows: int,
) -> Group:
    own_queued = [item for item in queued if item.stratum == stratum]
    if len(own_queued) >= MIN_SIZE:
        return _to_group(_spread(own_queued, rows), of_all=False)
    own = [*own_queued, *(item for item in completed if item.stratum == stratum)]
    if len(own) >= MIN_SIZE:
        return _to_group(own[:rows], of_all=False)
    return _to_group(_choose_of_all(queued, completed, rows))


def _choose_of_all(
    queued: Sequence[DeviceUpdate], completed: Sequence[DeviceUpdate], rows: int
) -> Sequence[DeviceUpdate]:
    return _spread(queued, rows) if len(queued) >= MIN_SIZE else [*queued, *completed][:rows]


def _to_group(updates: Sequence[DeviceUpdate], *, of_all: bool = True) -> Group:
    return Group([item.device_id for item in updates], of_all)


def _spread(group: Sequence[DeviceUpdate], rows: int) -> Sequence[DeviceUpdate]:
    """Return at most `rows` of a group, evenly spread over it."""
    step = max(1, -(-len(group) // rows))
    return group[::step]
