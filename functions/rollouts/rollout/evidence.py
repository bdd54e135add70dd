"""Decide whether enough of a wave's devices completed, and say so with the numbers.

Two rules hold for a wave. `successShare` limits its failures: a share of its eligible devices must
complete. `minCompleted` needs evidence. A wave whose devices were all skipped has no failure, but
does not show that the firmware works.

Without a `successShare`, the failure gate sets the limit: as many devices may fail as the gate
allows in a wave of that size, but fewer than half. So a wave that the gate lets pass reaches its
share, and a wave that reaches its share would not breach the gate even if all its other devices
failed. Failures that an operator resumed past are not counted again.
"""

from functools import lru_cache

from functions.rollouts.model import texts
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Share
from functions.rollouts.model.wave import Counts, Wave
from functions.rollouts.rollout import frozen, gate


def has_reached_share(rollout: Rollout, wave: Wave) -> bool:
    """Return whether enough of the wave's devices have completed for the success share."""
    return wave.counts.completed >= needed_for_share(rollout, wave)


def lacks_only_not_started(rollout: Rollout, wave: Wave) -> bool:
    """Return whether the wave would reach its share with the devices that never started."""
    completed = wave.counts.completed
    needed = needed_for_share(rollout, wave)
    return completed < needed <= completed + wave.not_started


def has_evidence(rollout: Rollout, wave: Wave) -> bool:
    """Return whether enough of the wave's devices have completed for `minCompleted`."""
    return wave.counts.completed >= needed_as_evidence(rollout, wave)


def has_passed(rollout: Rollout, wave: Wave) -> bool:
    """Return whether the next wave may open."""
    return has_reached_share(rollout, wave) and has_evidence(rollout, wave)


def needed_for_share(rollout: Rollout, wave: Wave) -> int:
    """Return how many of the wave's eligible devices must complete for the success share."""
    share = rollout.strategy.success_share
    if share is not None:
        return share.at_least(wave.counts.eligible)
    judged = max(0, wave.counts.eligible - wave.acknowledged_failed)
    return judged - tolerated_failures(gate.limits_of(rollout, wave), judged)


@lru_cache(maxsize=1024)
def tolerated_failures(limits: gate.Limits, devices: int) -> int:
    """Return how many of `devices` devices may fail: fewer than half.

    Example: default gate, one wave, 1 or 2 -> 0, 3 to 19 -> 1, 20 -> 2, 100 -> 5.
    """
    fewest = gate.failures_to_breach(limits, devices)
    allowed = devices if fewest is None else fewest - 1
    return max(0, min(allowed, (devices - 1) // 2))


def needed_as_evidence(rollout: Rollout, wave: Wave) -> int:
    """Return how many of the wave's devices must complete for `minCompleted`.

    Devices that ran the version before need no update. Of the others at least one must complete.
    """
    if not wave.size:
        return 1  # all its devices are in frozen strata, which is no evidence for the others
    updated = wave.size - wave.already_running
    if updated <= 0:
        return 0
    least = rollout.strategy.min_completed
    wanted = least.at_least(updated) if isinstance(least, Share) else least
    return max(1, min(wanted, updated))


def has_updated_none(rollout: Rollout) -> bool:
    """Return whether a rollout that was to update devices has updated none."""
    already_running = sum(wave.already_running for wave in rollout.waves)
    return not rollout.counts.completed and rollout.total > already_running


def find_shortfall(rollout: Rollout, number: int) -> Reason | None:
    """Return why a wave whose devices have all ended has not passed; None if it has.

    The last wave opens no other. It lacks evidence only if the whole rollout updated no device.
    """
    wave = frozen.without_frozen(rollout, rollout.waves[number])
    if not has_reached_share(rollout, wave):
        return below_share(rollout, wave)
    if number < len(rollout.waves) - 1:
        return None if has_evidence(rollout, wave) else _too_little_evidence(rollout, wave)
    return _updated_none(rollout) if has_updated_none(rollout) else None


def below_share(rollout: Rollout, wave: Wave) -> Reason:
    """Return the reason of a wave that has too few completed devices for its success share."""
    counts, share = wave.counts, rollout.strategy.success_share
    needed = needed_for_share(rollout, wave)
    rule = (
        f"{share} must complete, which is {needed}"
        if share is not None
        else f"{needed} must complete, because the failure gate allows no more failures"
    )
    message = (
        f"{texts.wave_first(wave.name)}: {describe_completed(counts)}, {counts.failed} failed;"
        f" {rule}.{describe_acknowledged(wave)}{_describe_frozen(rollout)}"
    )
    return Reason(code="successShare", message=message)


def describe_completed(counts: Counts) -> str:
    return f"{counts.completed} of {texts.count(counts.eligible, 'device')} completed"


def describe_acknowledged(wave: Wave) -> str:
    """Return a sentence about the failures that an operator resumed past, or nothing."""
    if not wave.acknowledged_failed:
        return ""
    count = texts.count(wave.acknowledged_failed, "failure")
    return f" {count} {describe_since(wave)} {texts.to_be(wave.acknowledged_failed)} acknowledged."


def describe_since(wave: Wave) -> str:
    """Return until when an operator's resume, or a retry, acknowledged failures."""
    if wave.acknowledged_at is None:
        return "before a retry"
    return f"before the resume at {texts.utc_time(wave.acknowledged_at)}"


def _describe_frozen(rollout: Rollout) -> str:
    """Return a sentence about the strata that are left out, or nothing."""
    found = frozen.frozen_strata(rollout)
    if not found or len(found) == len(rollout.stratum_gates):
        return ""
    return f" Devices of frozen strata ({frozen.names_of(rollout, found)}) are left out."


def _too_little_evidence(rollout: Rollout, wave: Wave) -> Reason:
    counts, least = wave.counts, rollout.strategy.min_completed
    message = (
        f"{texts.wave_first(wave.name)}: {counts.completed} of its"
        f" {texts.count(wave.size, 'device')} completed, {counts.failed} failed,"
        f" {counts.skipped} {texts.was(counts.skipped)} skipped{_describe_cancelled(counts)};"
        f" minCompleted is {least}, so {needed_as_evidence(rollout, wave)} must complete before the"
        " next wave opens."
        f"{_describe_frozen(rollout)}"
    )
    return Reason(code="tooLittleEvidence", message=message)


def _updated_none(rollout: Rollout) -> Reason:
    counts = rollout.counts
    message = (
        f"No device was updated: of {texts.count(counts.total, 'device')}, {counts.skipped}"
        f" {texts.was(counts.skipped)} skipped and {counts.failed} failed"
        f"{_describe_cancelled(counts)}."
    )
    return Reason(code="tooLittleEvidence", message=message)


def _describe_cancelled(counts: Counts) -> str:
    """Return how many devices were cancelled, or nothing."""
    count = counts.cancelled
    return f", and {count} {texts.was(count)} cancelled" if count else ""
