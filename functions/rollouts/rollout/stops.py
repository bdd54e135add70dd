"""Pause a rollout, and resume past what its operator has seen.

Whatever pauses a rollout is a stop: an operator's pause, or a wave that failed. Waves fail during
a pause too; then the pause has several stops, and the status reason is that of the newest.

A resume acknowledges what was shown to the operator, and nothing else. With a revision, that is
what the rollout showed at that revision. Without one, it is the oldest stop: what the rollout was
paused for. Stops that came later keep it paused, and the response says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.stop import ShownFailures, Stop
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import frozen as frozen_rules
from functions.rollouts.rollout import status

# A wave that became worse more often keeps the first and the latest of these. A resume with a
# revision in between acknowledges less than was shown then, never more.
MAX_SHOWN = 50


def add_stop(
    rollout: Rollout, reason: Reason, wave: int | None = None, stratum: int | None = None
) -> Rollout:
    """Pause the rollout for this reason. A rollout that is paused gets one more stop."""
    stop = Stop(reason=reason, revision=_next_revision(rollout), wave=wave, stratum=stratum)
    paused = status.move(rollout, RolloutStatus.PAUSED, status_reason=reason)
    return replace(paused, stops=(*rollout.stops, stop))


def has_failed_wave(rollout: Rollout) -> bool:
    """Return whether a failed wave or stratum keeps the rollout paused."""
    return any(stop.wave is not None or stop.stratum is not None for stop in rollout.stops)


def record_shown(rollout: Rollout) -> Rollout:
    """Record the failed waves and strata that became worse with this revision."""
    rollout = _record_frozen(rollout)
    if not has_failed_wave(rollout):
        return rollout
    return replace(rollout, stops=tuple(_record(rollout, stop) for stop in rollout.stops))


def resume(rollout: Rollout, now: datetime, revision: int | None) -> Rollout:
    """Acknowledge what was shown by `revision`. The rollout runs if no stop is left."""
    left = _list_unseen(rollout, revision)
    kept = {stop.wave for stop in left}
    waves = [
        wave
        if number in kept
        else acknowledge(
            wave,
            now,
            _find_shown(rollout, number, revision),
            frozen=frozen_rules.count_frozen_queued(rollout, wave),
        )
        for number, wave in enumerate(rollout.waves)
    ]
    seen = replace(rollout, waves=tuple(waves), stops=left)
    for stop in rollout.stops:
        if stop.stratum is not None and stop not in left:
            shown = find_shown(stop.shown, revision)
            seen = frozen_rules.acknowledge_stratum(seen, stop.stratum, now, shown)
    if not left:
        begun = RolloutStatus.RUNNING if rollout.started_at else RolloutStatus.SCHEDULED
        return status.move(seen, begun, status_reason=None)
    newest = left[-1].reason
    message = (
        f"{newest.message} This came after what the resume acknowledged; resume again to go on."
    )
    return replace(seen, status_reason=replace(newest, message=message))


def acknowledge(
    wave: Wave,
    now: datetime | None = None,
    shown: ShownFailures | None = None,
    *,
    frozen: int = 0,
) -> Wave:
    """Acknowledge a failed wave's failures: all of them, or those that were `shown`.

    A wave counts as passed if the operator has seen its end. `frozen` of its devices wait in frozen
    strata, and are not waited for.
    """
    if wave.status is not WaveStatus.FAILED or wave.passed:
        return wave
    counts = wave.counts
    ended = shown is None and counts.ended + frozen == counts.total
    return status.move_wave(
        wave,
        WaveStatus.FAILED if ended else WaveStatus.RUNNING,
        passed=ended,
        ended_at=wave.ended_at if ended else None,
        acknowledged_failed=counts.failed if shown is None else min(shown.failed, counts.failed),
        acknowledged_not_started=wave.not_started,
        sequence=wave.sequence.restart(shown.mark if shown else None),
        acknowledged_at=now or wave.acknowledged_at,
        strata=wave.strata if shown else tuple(part.acknowledge() for part in wave.strata),
    )


def _list_unseen(rollout: Rollout, revision: int | None) -> tuple[Stop, ...]:
    """Return the stops that a resume with this revision does not acknowledge."""
    if not rollout.stops:
        return ()
    seen = rollout.stops[0].revision if revision is None else revision
    return tuple(stop for stop in rollout.stops if stop.revision > seen)


def _find_shown(rollout: Rollout, number: int, revision: int | None) -> ShownFailures | None:
    """Return what `revision` showed of a failed wave; None if it has not become worse since."""
    shown = [item for stop in rollout.stops if stop.wave == number for item in stop.shown]
    return find_shown(shown, revision)


def find_shown(shown: Sequence[ShownFailures], revision: int | None) -> ShownFailures | None:
    """Return what `revision` showed; None if that has not become worse since."""
    if revision is None or not shown or shown[-1].revision <= revision:
        return None
    return next((item for item in reversed(shown) if item.revision <= revision), shown[0])


def _record(rollout: Rollout, stop: Stop) -> Stop:
    if stop.stratum is not None:
        gate = rollout.stratum_gates[stop.stratum]
        return replace(stop, shown=_append(stop.shown, frozen_rules.show(rollout, gate)))
    if stop.wave is None or rollout.waves[stop.wave].status is not WaveStatus.FAILED:
        return stop
    wave = rollout.waves[stop.wave]
    counts = wave.counts
    now = ShownFailures(
        revision=_next_revision(rollout),
        failed=counts.failed,
        ended=counts.ended + frozen_rules.count_frozen_queued(rollout, wave) == counts.total,
        mark=wave.sequence.mark(),
    )
    return replace(stop, shown=_append(stop.shown, now))


def _record_frozen(rollout: Rollout) -> Rollout:
    for number, gate in enumerate(rollout.stratum_gates):
        if gate.frozen is not None:
            shown = _append(gate.frozen.shown, frozen_rules.show(rollout, gate))
            worse = replace(gate, frozen=replace(gate.frozen, shown=shown))
            rollout = frozen_rules.change_gate(rollout, number, worse) if worse != gate else rollout
    return rollout


def _append(shown: Sequence[ShownFailures], now: ShownFailures) -> tuple[ShownFailures, ...]:
    """Append what is shown now if it is worse, or the end."""
    if shown and now.failed <= shown[-1].failed and now.ended <= shown[-1].ended:
        return tuple(shown)
    return (*shown[:1], *[*shown[1:], now][-(MAX_SHOWN - 1) :])


def _next_revision(rollout: Rollout) -> int:
    """Return the revision that a change of the rollout is stored as."""
    return rollout.revision + 1
