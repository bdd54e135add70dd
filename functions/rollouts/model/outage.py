"""Outages: times in which the network, the hub or its quota fails, and not the firmware."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.rollouts.model.device_update import DeviceUpdate

# Codes of the status reason while an outage lasts.
AMBIENT, HUB = "ambientOutage", "hubUnavailable"
ACCESS = "hubRefusesAccess"
# The messages of the day are used up: those for rollouts, or the hub's.
DAILY_QUOTA = "dailyQuota"
# Time between two checks of an outage that lasts.
RECHECK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which failures to reach devices count for nothing."""

    # AMBIENT: the devices of a stratum are away; HUB: the hub fails; ACCESS: it refuses this app;
    # DAILY_QUOTA: see there
    code: str
    message: str  # a sentence for people, with its numbers
    since: datetime  # when it was noticed
    until: datetime | None = None  # None: it lasts
    stratum: int | None = None  # the stratum of an ambient outage; None: the rollout has no strata
    checked_at: datetime | None = None  # when an ambient outage was last compared; None: a hub's

    def concerns(self, update: DeviceUpdate) -> bool:
        """Return whether the device of `update` may be away because of this outage."""
        return self.code != AMBIENT or self.stratum == update.stratum


@dataclass(frozen=True, slots=True, kw_only=True)
class HubIncident:
    """A time in which the hub fails most calls, or refuses this app; only a few are made."""

    since: datetime  # when it was noticed
    calls: int  # calls that it was noticed by
    failed: int  # of these, calls that the hub failed or did not respond to
    example: str  # what the latest of them ended with
    probe: int  # calls of the next probe
    probe_at: datetime  # when it may be sent
    by_reads: bool = False  # noticed by failed reads: a read that succeeds is a response too
    is_refusal: bool = False  # each of the calls was a refusal of this app
    refuses_reads: bool = False  # refusals of reads are known; else perhaps methods alone


@dataclass(frozen=True, slots=True, kw_only=True)
class HubHealth:
    """How the hub has responded lately; stored with the budget, for all rollouts."""

    failed: int = 0  # method calls that failed at the hub, since the latest response
    silent: int = 0  # method calls without a response from the device, since the latest response
    failed_reads: int = 0  # ticks in a row whose reads failed
    responded_at: datetime | None = None  # when a call was last responded; None: never
    refused_since: datetime | None = None  # first refusal of this app; None: the last was another
    incident: HubIncident | None = None  # None: the hub works


HEALTHY = HubHealth()
