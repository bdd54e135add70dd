"""Begin and end a rollout's outages, and say which one it shows.

While one lasts, no failure to reach a device counts (`device/fair_time.py`), the offline deadline
does not run (`start_clock`), and nothing starts but the probes of a failing hub (`breaker`). A wait
for the day's messages is an outage, too (`daily_quota`).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.outage import ACCESS, AMBIENT, DAILY_QUOTA, HUB, Outage
from functions.rollouts.model.reason import WAITS, Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout.strata import MAX_STRATA

# Outages that a rollout's record keeps: two of each stratum. Older ones matter to no device in
# flight.
MAX_OUTAGES = 2 * (MAX_STRATA + 1)
# Outages of different strata that the reason of a rollout names.
MAX_NAMED = 3
# The reason of the first one that lasts is shown.
_SHOWN_FIRST = (ACCESS, HUB, DAILY_QUOTA, AMBIENT)
_CODES = frozenset(_SHOWN_FIRST)
_OF_HUB = frozenset({HUB, ACCESS})
_OVER = {
    ACCESS: "The hub accepts this app again.",
    HUB: "The hub responds again.",
    DAILY_QUOTA: "The hub has messages for rollouts again.",
    AMBIENT: "The devices that are not being updated are connected again.",
}


def list_open(rollout: Rollout, code: str) -> Sequence[Outage]:
    """Return the rollout's outages of a kind that last."""
    return [item for item in rollout.outages if item.until is None and item.code == code]


def find_open(rollout: Rollout, code: str, stratum: int | None = None) -> Outage | None:
    """Return the outage of a kind and stratum that lasts, or None."""
    return next((item for item in list_open(rollout, code) if item.stratum == stratum), None)


def find_hub_outage(rollout: Rollout) -> Outage | None:
    """Return the outage of the hub that lasts: it fails, or refuses this app. None: it works."""
    return find_open(rollout, ACCESS) or find_open(rollout, HUB)


def begin(rollout: Rollout, now: datetime, outage: Outage) -> Rollout:
    """Begin an outage, or renew the message of the same one that lasts.

    A hub that fails may begin to refuse this app, and the reverse: that is the same outage.
    """
    known = find_open(rollout, outage.code, outage.stratum)
    if outage.code in _OF_HUB and known is None:
        known = find_hub_outage(rollout)
        if known is not None:
            rollout = add_event(rollout, now, "outageBegan", outage.message)
    if known is not None:
        renewed = replace(outage, since=known.since)
        if renewed == known:
            return rollout
        found = tuple(renewed if item is known else item for item in rollout.outages)
        return show(replace(rollout, outages=found))
    kept = (*rollout.outages, outage)[-MAX_OUTAGES:]
    return show(add_event(replace(rollout, outages=kept), now, "outageBegan", outage.message))


def end(
    rollout: Rollout, now: datetime, code: str, stratum: int | None = None, why: str | None = None
) -> Rollout:
    """End an outage. Return the rollout itself if none lasts.

    `why` is a sentence for the audit trail; None: what failed works again.
    """
    known = find_open(rollout, code, stratum)
    if known is None:
        return rollout
    found = tuple(replace(item, until=now) if item is known else item for item in rollout.outages)
    ended = replace(rollout, outages=found)
    lasted = texts.duration(now - known.since)
    message = f"After {lasted}. {why or _describe_end(ended, code)}"
    return show(add_event(ended, now, "outageEnded", message))


def current_reason(rollout: Rollout, code: str) -> Reason | None:
    """Return why the rollout waits because of outages of a kind, or None if none lasts."""
    found = list_open(rollout, code)
    if not found:
        return None
    messages = list(dict.fromkeys(item.message for item in found))
    left = len(messages) - MAX_NAMED
    more = [f"The same holds for {left} more strata."] if left > 0 else []
    return Reason(code=code, message=" ".join([*messages[:MAX_NAMED], *more]))


def show(rollout: Rollout) -> Rollout:
    """Set the reason of a running rollout to its outages, or take it away."""
    reasons = (current_reason(rollout, code) for code in _SHOWN_FIRST)
    reason = next(filter(None, reasons), None)
    shown = rollout.status_reason
    replaced = _CODES if reason is None else _CODES | WAITS | {None}
    is_ours = (shown.code if shown else None) in replaced
    if rollout.status is not RolloutStatus.RUNNING or not is_ours or reason == shown:
        return rollout
    return replace(rollout, status_reason=reason)


def _describe_end(rollout: Rollout, code: str) -> str:
    """Return that an outage is over, and that the rollout goes on if nothing else stops it."""
    has_other = any(item.until is None for item in rollout.outages)
    goes_on = rollout.status is RolloutStatus.RUNNING and not has_other
    return f"{_OVER[code]} The rollout goes on." if goes_on else _OVER[code]
