"""Whether a firmware's manifest or link expires before a device that starts now needs it.

Devices refuse an expired manifest, and cannot download from an expired link. That is no failure of
the firmware, so nothing is sent shortly before: the rollout pauses, and says what to do.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from functions.rollouts.model import manifest, package_uri, texts
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout

MANIFEST_EXPIRES = "manifestExpires"
PACKAGE_URI_EXPIRES = "packageUriExpires"
# A device checks the manifest when the method arrives. A claim lasts 90 s, the rest is for clocks
# that differ.
MANIFEST_MARGIN = timedelta(minutes=2)
# A device needs the link for the whole download: as long as updates usually take, but at least so
# long, and never longer than the timeout.
MIN_DOWNLOAD_MARGIN = timedelta(minutes=5)
_MIN_FINISHED = 5
_NEVER = datetime.max.replace(tzinfo=UTC)


def find_reason(rollout: Rollout, now: datetime) -> Reason | None:
    """Return why no device can start because of an expiry, or None.

    A rollback may have several packages: None while one of them is valid.
    """
    reasons = [firmware_reason(rollout, item, now) for item in rollout.packages]
    return None if None in reasons else reasons[0]


def firmware_reason(rollout: Rollout, firmware: Firmware, now: datetime) -> Reason | None:
    """Return why a device that starts now would find `firmware` expired, or None."""
    for code, expires_at in expiries(firmware):
        needed = MANIFEST_MARGIN if code == MANIFEST_EXPIRES else _download_margin(rollout)
        margin = min(needed, rollout.strategy.timeout)
        if expires_at - margin <= now:
            when = "expired" if expires_at <= now else "expires"
            when = f"{when} at {texts.utc_time(expires_at)}."
            if expires_at > now:
                when += f" No device starts in the last {texts.duration(margin)}."
            return Reason(code=code, message=_describe(rollout, firmware.version, code, when))
    return None


def expiries(firmware: Firmware) -> Iterator[tuple[str, datetime]]:
    """Yield the times at which a firmware's manifest and link expire, with their codes."""
    signed_until = manifest.expires_at(firmware.manifest) if firmware.manifest else None
    linked_until = package_uri.expires_at(firmware.package_uri)
    if signed_until is not None:
        yield MANIFEST_EXPIRES, signed_until
    if linked_until is not None:
        yield PACKAGE_URI_EXPIRES, linked_until


def sendable_until(rollout: Rollout) -> datetime:
    """Return when the last of a rollout's packages has expired: its manifest, or its link."""
    ends = [min([at for _, at in expiries(item)], default=_NEVER) for item in rollout.packages]
    return max(ends)


def _download_margin(rollout: Rollout) -> timedelta:
    measured = rollout.measured
    if measured.finished < _MIN_FINISHED:
        return MIN_DOWNLOAD_MARGIN
    usual = timedelta(seconds=measured.finish_seconds / measured.finished)
    return max(MIN_DOWNLOAD_MARGIN, usual)


def _describe(rollout: Rollout, version: str, code: str, when: str) -> str:
    """Return what has expired, and what to do."""
    what = "manifest"
    todo = (
        f"Sign {version} again with a later expiresAt, and create a new rollout with that manifest:"
        f" it skips the devices that run {version} already."
    )
    if code == PACKAGE_URI_EXPIRES:
        what = "package URI"
        todo = "Resume with a new packageUri of the same package, and retry devices that failed."
    if len(rollout.packages) > 1:
        todo = "Roll out each earlier version by a new rollout."
    return f"The {what} of {version} {when} {todo}"
