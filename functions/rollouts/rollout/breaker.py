"""Stop sending methods while the hub fails most of them, and probe until it responds again.

works --most calls fail--> only probes --responses, twice as many each time--> works
works --each call is a refusal of this app--> one probe a tick --a response--> works

The hub is one for all rollouts, so its health is stored with the budget, and all rollouts stop.
A call that fails at the hub says nothing of a device: a 5xx of the hub, a connection that breaks,
a timeout of the hub, 429. A device's own status, and "not connected", are responses.
A call without a response may also be a silent device's. It counts as the hub's failure if no call
at all got a response, and other calls did within RESPONSE_MEMORY before.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from functions.rollouts.model import texts
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.method_outcome import Lost, MethodOutcome, NotDelivered
from functions.rollouts.model.outage import ACCESS, HEALTHY, HUB, HubHealth, HubIncident, Outage
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import outages, refusal

# From this many failed calls, or ticks with failed reads, the hub counts as failing. By chance,
# fewer calls of one batch fail; and until then, only a few devices are in doubt.
MIN_FAILED = 5
# From this many calls without any response, the hub counts as failing.
MIN_SILENT = 20
# How long before these another call must have got a response.
RESPONSE_MEMORY = timedelta(hours=1)
# Calls of the first probe. Each next one has twice as many; when it would have more than MAX_PROBE,
# all rollouts go on at full speed instead.
MIN_PROBE, MAX_PROBE = 3, 40
# Time after a probe without a response until the next one.
PROBE_INTERVAL = timedelta(seconds=30)
# Without a call for so long, no device is left to probe with.
MAX_IDLE = timedelta(minutes=5)


def measure(outcomes: Iterable[MethodOutcome], load: HubLoad) -> HubLoad:
    """Add to the load how many methods got a response, failed at the hub, or stayed silent."""
    responded, failed, silent, example = load.responded, load.failed, load.silent, load.example
    refused = load.refused
    for outcome in outcomes:
        match outcome:
            case Lost(message, hub_failed):
                failed, silent = failed + hub_failed, silent + (not hub_failed)
                example = message
            case NotDelivered(message, access_refused=is_refusal):
                failed, example = failed + 1, message
                refused += is_refusal
            case _:
                responded += 1
    return replace(
        load,
        responded=responded,
        failed=failed,
        refused=refused,
        silent=silent,
        example=example,
    )


def forget_calls(load: HubLoad) -> HubLoad:
    """Return the load without how its calls ended; they were made before the hub was probed."""
    return replace(load, responded=0, failed=0, refused=0, silent=0, example="")


def blame_hub(rollout: Rollout, outcomes: Iterable[MethodOutcome]) -> bool:
    """Return whether silence in a batch is the hub's failure, so that it uses up no attempt.

    It is the hub's while the hub is known to fail. It also is if none of many calls got a response
    although devices of this rollout have finished before.
    """
    if outages.find_hub_outage(rollout):
        return True
    load = measure(outcomes, HubLoad())
    has_failed = load.silent + load.failed >= MIN_SILENT or load.failed >= MIN_FAILED
    return rollout.measured.finished > 0 and has_failed and not load.responded


def judge(
    health: HubHealth,
    load: HubLoad,
    now: datetime,
    *,
    has_read: bool | None = None,
    read_refused: bool = False,
) -> HubHealth:
    """Return the hub's health after this load.

    `has_read` says whether a tick's reads succeeded; `read_refused` that the hub refused this app.
    """
    counted = refusal.count(health, load, now, has_read=has_read, read_refused=read_refused)
    counted = _count(counted, load, now, has_read=has_read)
    if counted.incident is not None and counted.incident.is_refusal:
        return _probe_access(counted, counted.incident, load, now)
    if counted.incident is not None:
        return _probe(counted, counted.incident, load, now, has_read=has_read)
    by_reads = counted.failed_reads >= MIN_FAILED
    refuses = refusal.lasts(counted, load, now, read_refused=read_refused)
    if not (by_reads or refuses or _fails(counted, load) or _is_silent(counted, load, now)):
        return counted
    failed = max(load.failed + load.silent, counted.failed + counted.silent)
    incident = HubIncident(
        since=counted.refused_since or now,
        calls=failed + load.responded if failed else counted.failed_reads,
        failed=failed or counted.failed_reads,
        example=load.example,
        probe=MIN_PROBE,
        probe_at=now + PROBE_INTERVAL,
        by_reads=by_reads or read_refused,
        is_refusal=counted.refused_since is not None,
        refuses_reads=read_refused,
    )
    return replace(counted, incident=incident)


def max_starts(health: HubHealth, now: datetime) -> int | None:
    """Return how many methods may be sent now; None is no limit of the breaker."""
    incident = health.incident
    if incident is None:
        return None
    return incident.probe if now >= incident.probe_at else 0


def take_probe(health: HubHealth, sent: int, now: datetime) -> HubHealth:
    """Record that `sent` methods of a probe are sent; no other one is until they end."""
    incident = health.incident
    if incident is None or not sent:
        return health
    return replace(health, incident=replace(incident, probe_at=now + PROBE_INTERVAL))


def show(rollout: Rollout, health: HubHealth, now: datetime) -> Rollout:
    """Begin or end the rollout's outage as the hub's health says."""
    incident = health.incident
    if incident is None:
        return outages.end(outages.end(rollout, now, HUB), now, ACCESS)
    since = texts.utc_time(incident.since)
    if incident.is_refusal:
        message = refusal.describe(incident, since)
        return outages.begin(rollout, now, Outage(code=ACCESS, message=message, since=now))
    message = (
        f"The hub fails: {incident.failed} of {texts.count(incident.calls, 'call')} by {since}."
        f" Last: {incident.example} Only a few methods are sent, to probe it; nothing counts"
        " meanwhile, and all rollouts go on once it responds."
    )
    return outages.begin(rollout, now, Outage(code=HUB, message=message, since=now))


def _count(health: HubHealth, load: HubLoad, now: datetime, *, has_read: bool | None) -> HubHealth:
    reads = health.failed_reads
    if has_read is not None:
        reads = 0 if has_read else reads + 1
    if load.responded:
        return replace(health, failed=0, silent=0, failed_reads=reads, responded_at=now)
    return replace(
        health,
        failed=health.failed + load.failed,
        silent=health.silent + load.silent,
        failed_reads=reads,
    )


def _fails(health: HubHealth, load: HubLoad) -> bool:
    if load.responded:
        return load.failed >= MIN_FAILED and load.failed > load.responded
    return load.failed > 0 and health.failed >= MIN_FAILED


def _is_silent(health: HubHealth, load: HubLoad, now: datetime) -> bool:
    if load.responded or not load.silent or health.failed + health.silent < MIN_SILENT:
        return False
    return health.responded_at is not None and now - health.responded_at <= RESPONSE_MEMORY


def _probe_access(
    health: HubHealth, incident: HubIncident, load: HubLoad, now: datetime
) -> HubHealth:
    """Judge the calls of a tick while the hub refuses this app. One response ends the incident."""
    if load.responded:
        return replace(HEALTHY, responded_at=health.responded_at)
    if not (load.failed or load.silent):
        idle = now - incident.probe_at >= MAX_IDLE and not incident.refuses_reads
        return replace(HEALTHY, responded_at=health.responded_at) if idle else health
    again = replace(
        incident,
        calls=incident.calls + load.failed + load.silent,
        failed=incident.failed + load.failed + load.silent,
        example=load.example,
        probe_at=max(incident.probe_at, now + PROBE_INTERVAL),
        is_refusal=load.failed == load.refused,
    )
    return replace(health, incident=again)


def _probe(
    health: HubHealth,
    incident: HubIncident,
    load: HubLoad,
    now: datetime,
    *,
    has_read: bool | None,
) -> HubHealth:
    """Judge a probe: the next one is larger, or waits, or none is needed any more."""
    failed = load.failed + load.silent
    responded = load.responded + (incident.by_reads and has_read is True)
    if (failed and failed >= responded) or has_read is False:
        again = max(incident.probe_at, now + PROBE_INTERVAL)
        return replace(
            health,
            incident=replace(
                incident,
                calls=incident.calls + failed + load.responded,
                failed=incident.failed + failed,
                example=load.example or incident.example,
                probe=MIN_PROBE,
                probe_at=again,
                is_refusal=health.refused_since is not None,
            ),
        )
    if not responded:
        idle = now - incident.probe_at >= MAX_IDLE
        return replace(HEALTHY, responded_at=health.responded_at) if idle else health
    if 2 * incident.probe > MAX_PROBE:
        return replace(HEALTHY, responded_at=health.responded_at)
    return replace(health, incident=replace(incident, probe=2 * incident.probe, probe_at=now))
