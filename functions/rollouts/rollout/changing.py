"""Change the strategy of a rollout that is open, by an operator's command.

- Failure gate, `successShare`, `minCompleted`, `maxNotStarted`: all waves that have opened are
  judged anew, also those that have ended. A looser rule does not undo a breach: a failed wave
  waits for a resume.
- `maxInFlight`, window: they limit the next starts; devices in flight go on.
- Soak, timeout: they hold for devices in flight, too. Each block that has a due time is due at
  once, and its devices adopt the new times when it is read or written (`use_cases/commit.py`).
- Waves: those that have not opened are cut anew. Each device keeps its position in the start order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from math import ceil

from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import BLOCK_SIZE, Block, BlockSummary
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.model.wave import Wave, WaveStatus, WaveStratum, count
from functions.rollouts.rollout import breach, evidence, status, waves
from functions.rollouts.rollout.device_counts import runs_already
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError, require
from functions.rollouts.rollout.start_order import plan_waves, replan_waves
from functions.rollouts.rollout.strategy_words import describe_changes


def require_open(rollout: Rollout) -> None:
    """Raise NotAllowedError if the rollout has ended, or is cancelled."""
    require(rollout, "change", RolloutStatus.SCHEDULED, RolloutStatus.RUNNING, RolloutStatus.PAUSED)


def has_moved_pending(rollout: Rollout) -> bool:
    """Return whether some device of a wave that has not opened is no longer queued."""
    return any(wave.counts.queued < wave.size for wave in _list_pending(rollout))


def pending_blocks(rollout: Rollout) -> Sequence[int]:
    """Return the numbers of the blocks that have devices of waves that have not opened."""
    first = min((wave.first for wave in _list_pending(rollout)), default=rollout.total)
    return range(first // BLOCK_SIZE, len(rollout.block_summaries))


def change(
    rollout: Rollout, now: datetime, caller: Caller, strategy: Strategy, blocks: Mapping[int, Block]
) -> Rollout:
    """Give the rollout another strategy. Return the rollout itself if that is the present one.

    `blocks` has the blocks with devices of waves that have not opened, at least those with a device
    that is not queued; where strata are judged, all of them. Raises NotAllowedError, WavesError.
    """
    require_open(rollout)
    before = rollout.strategy
    if strategy == before:
        return rollout
    changed = replace(rollout, definition=replace(rollout.definition, strategy=strategy))
    if strategy.waves != before.waves:
        changed = replace(changed, waves=_replan(rollout, strategy.waves, blocks))
    changed = _adopt_times_soon(changed, before, now)
    changed = _clear_approval_reason(_reopen_waves(changed, before))
    what = f"Changed by {caller.name} ({describe_changes(rollout, changed)})"
    return add_event(changed, now, "changed", caller.message(what), caller.name)


def _replan(
    rollout: Rollout, plans: Sequence[WavePlan], blocks: Mapping[int, Block]
) -> tuple[Wave, ...]:
    """Return the waves by new plans. A rollout whose target is not resolved yet has none."""
    resolution = rollout.resolution
    if resolution is None:
        pending = _list_pending(rollout)
        opened = [wave for wave in rollout.waves if wave not in pending]
        found = replan_waves(plans, rollout.strategy.waves, opened, rollout.total)
        strata = len(rollout.stratum_gates)
        added = [_count_devices(wave, blocks, strata) for wave in found[len(opened) :]]
        return divide_error_rate(opened, added, len(rollout.waves))
    if resolution.gathered:
        raise NotAllowedError(
            "The rollout's devices are being stored in the order of its waves; change the waves"
            " once the rollout shows them."
        )
    if rollout.definition.target.condition is None:
        plan_waves(plans, resolution.devices)
    return ()


def divide_error_rate(
    opened: Sequence[Wave], added: Sequence[Wave], before: int
) -> tuple[Wave, ...]:
    """Divide what the opened waves leave of the gate's error rate equally among the added ones.

    So the gate's limit still holds for the whole rollout. `before` is the number of waves that the
    rollout had. Divisors are rounded up to whole numbers.
    """
    kept = [replace(wave, error_divisor=wave.error_divisor or before) for wave in opened]
    left = 1 - sum(Fraction(1, wave.error_divisor or before) for wave in kept)
    divisor = ceil(len(added) / left)
    return (*kept, *(replace(wave, error_divisor=divisor) for wave in added))


def _list_pending(rollout: Rollout) -> Sequence[Wave]:
    return [wave for wave in rollout.waves if wave.status is WaveStatus.PENDING]


def _count_devices(wave: Wave, blocks: Mapping[int, Block], strata: int) -> Wave:
    """Count the devices of a wave that has not opened. Those that `blocks` lacks are queued."""
    updates = [
        update
        for position, update in _list_positions(blocks)
        if wave.first <= position < wave.first + wave.size
    ]
    counts = count(item.state for item in updates)
    queued = counts.queued + wave.size - len(updates)
    by_stratum: list[list[DeviceUpdate]] = [[] for _ in range(strata)]
    for update in updates:
        if update.stratum is not None and update.stratum < strata:
            by_stratum[update.stratum].append(update)
    return replace(
        wave,
        counts=replace(counts, queued=queued),
        already_running=sum(map(runs_already, updates)),
        strata=tuple(map(_count_stratum, by_stratum)),
    )


def _count_stratum(updates: Sequence[DeviceUpdate]) -> WaveStratum:
    counts = count(item.state for item in updates)
    return WaveStratum(counts=counts, already_running=sum(map(runs_already, updates)))


def _list_positions(blocks: Mapping[int, Block]) -> Sequence[tuple[int, DeviceUpdate]]:
    return [
        (number * BLOCK_SIZE + index, update)
        for number, block in blocks.items()
        for index, update in enumerate(block.updates)
    ]


def _adopt_times_soon(rollout: Rollout, before: Strategy, now: datetime) -> Rollout:
    """Make each block due now that has a due time, so that its devices adopt the new times."""
    strategy, revision = rollout.strategy, rollout.revision + 1
    if strategy.soak != before.soak:
        rollout = replace(rollout, soak_revision=revision)
    if strategy.timeout != before.timeout:
        rollout = replace(rollout, timeout_revision=revision)
    if revision not in {rollout.soak_revision, rollout.timeout_revision}:
        return rollout
    due = tuple(
        item if item.due_at is None else BlockSummary(min(item.due_at, now), item.revision)
        for item in rollout.block_summaries
    )
    return replace(rollout, block_summaries=due)


def _reopen_waves(rollout: Rollout, before: Strategy) -> Rollout:
    """Reopen completed waves that no longer pass, so that they are judged with the change."""
    for number, wave in enumerate(rollout.waves):
        if wave.status is not WaveStatus.COMPLETED or wave.passed:
            continue
        if _breaches_now(rollout, wave, before) or _holds_back_next(rollout, number):
            reopened = status.move_wave(wave, WaveStatus.RUNNING, ended_at=None)
            rollout = status.change_wave(rollout, number, reopened)
    return rollout


def _breaches_now(rollout: Rollout, wave: Wave, before: Strategy) -> bool:
    strategy = rollout.strategy
    same_gate = strategy.failure_gate == before.failure_gate
    if same_gate and strategy.max_not_started == before.max_not_started:
        return False
    reason = breach.find_breach(rollout, wave) or breach.find_not_started(rollout, wave)
    return reason is not None


def _holds_back_next(rollout: Rollout, number: int) -> bool:
    """Return whether the next wave has not opened, and would wait for this one for ever."""
    following = rollout.waves[number + 1 : number + 2]
    is_next_pending = any(wave.status is WaveStatus.PENDING for wave in following)
    return is_next_pending and not evidence.has_passed(rollout, rollout.waves[number])


def _clear_approval_reason(rollout: Rollout) -> Rollout:
    """Remove the request for an approval if no wave waits for one any more."""
    reason = rollout.status_reason
    is_requested = reason is not None and reason.code == "awaitingApproval"
    if is_requested and waves.awaiting_approval(rollout) is None:
        return replace(rollout, status_reason=None)
    return rollout
