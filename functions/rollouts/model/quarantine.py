"""Quarantine: a device that failed in several rollouts is left out of later ones for a time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from functions.rollouts.model import texts


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRule:
    """How many rollouts a device must fail in, and within which time."""

    failures: int
    period: timedelta  # also how long the quarantine lasts after the last of these failures


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRecord:
    """The rollouts in which a device failed lately, and its quarantine."""

    device_id: str
    failed_at: Mapping[str, datetime]  # by rollout id; each rollout counts once
    until: datetime | None = None  # the end of its quarantine; None: it has none

    def is_quarantined(self, now: datetime) -> bool:
        return self.until is not None and now < self.until


def add_failure(
    record: FailureRecord, rollout_id: str, now: datetime, rule: QuarantineRule
) -> FailureRecord:
    """Add a failure, and begin a quarantine if it is the last one that the rule allows."""
    if rollout_id in record.failed_at:
        return record
    since = now - rule.period
    lately = {key: at for key, at in record.failed_at.items() if at > since}
    failed_at = {**lately, rollout_id: now}
    until = now + rule.period if len(failed_at) >= rule.failures else record.until
    return replace(record, failed_at=failed_at, until=until)


def remove_failure(record: FailureRecord, rollout_id: str, rule: QuarantineRule) -> FailureRecord:
    """Take a failure back, because the device has completed in that rollout after all."""
    failed_at = {key: at for key, at in record.failed_at.items() if key != rollout_id}
    until = record.until if len(failed_at) >= rule.failures else None
    return replace(record, failed_at=failed_at, until=until)


def describe(record: FailureRecord) -> str:
    """Return the sentence that says why a device is in quarantine, and until when."""
    rollouts = ", ".join(sorted(record.failed_at)[:5])
    until = texts.utc_time(record.until) if record.until else "its release"
    return (
        f"The device is in quarantine until {until}: it failed in"
        f" {texts.count(len(record.failed_at), 'rollout')}: {rollouts}."
    )
