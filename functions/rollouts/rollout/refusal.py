"""Tell when the hub refuses this app, and for how long: an expired key, a lost role, an IP filter.

A refusal concerns the app, not a device: no call can succeed. So each open rollout waits, the app
makes one call a tick, and goes on with the first one that is not refused.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.outage import HEALTHY, HubHealth, HubIncident

# How long each call must have been a refusal, if fewer than `breaker.MIN_FAILED` were made.
REFUSED_TIME = timedelta(minutes=1)


def count(
    health: HubHealth,
    load: HubLoad,
    now: datetime,
    *,
    has_read: bool | None,
    read_refused: bool,
) -> HubHealth:
    """Record since when each call was a refusal of this app; None after any other end."""
    failed_otherwise = load.failed > load.refused or (has_read is False and not read_refused)
    if load.responded or load.silent or has_read or failed_otherwise:
        return replace(health, refused_since=None)
    if load.refused or read_refused:
        return replace(health, refused_since=health.refused_since or now)
    return health


def lasts(health: HubHealth, load: HubLoad, now: datetime, *, read_refused: bool) -> bool:
    """Return whether a refusal came now, and for REFUSED_TIME each call was one."""
    since = health.refused_since
    return since is not None and (load.refused > 0 or read_refused) and now - since >= REFUSED_TIME


def accept_access(health: HubHealth) -> HubHealth:
    """Return the health after a call that the hub did not refuse, while it refused this app.

    If refusals of reads are not known, methods alone may be refused: the incident lasts until one
    is not.
    """
    incident = health.incident
    if incident is not None and incident.is_refusal and not incident.refuses_reads:
        return health
    return replace(HEALTHY, responded_at=health.responded_at)


def refuse_access(health: HubHealth, example: str) -> HubHealth:
    """Return the health after a probe by which the hub still refuses this app."""
    incident = health.incident
    if incident is None:
        return health
    return replace(health, incident=replace(incident, refuses_reads=True, example=example))


def describe(incident: HubIncident, since: str) -> str:
    """Return a sentence that stays the same while the refusals do."""
    what = (
        "Nothing is sent or read but one call a tick"
        if incident.refuses_reads
        else ("Reads may succeed; only a few methods are sent, to probe it")
    )
    return (
        f"The hub refuses this app since {since}. Last: {incident.example} Check the app's role on"
        " the hub (IoT Hub Data Contributor) or the key of its policy (service), the hub's IP"
        " filter and network, and that the hub is not disabled. A new role takes some minutes."
        f" {what}; no attempt is used up, no deadline runs, and all rollouts go on by themselves"
        " once the hub accepts the app."
    )
