"""Convert outages and the hub's health to JSON and back. The names in it are stored names."""

from collections.abc import Sequence
from typing import Any

from functions.rollout_store.table_storage.values import (
    to_optional_time,
    to_text,
    to_time,
)
from functions.rollouts.model.outage import HubHealth, HubIncident, Outage


def outages_to_json(outages: Sequence[Outage]) -> list[Any]:
    return [
        [
            item.code,
            item.message,
            to_text(item.since),
            to_text(item.until),
            item.stratum,
            to_text(item.checked_at),
        ]
        for item in outages
    ]


def outages_from_json(value: Any) -> tuple[Outage, ...]:
    return tuple(
        Outage(
            code=code,
            message=message,
            since=to_time(since),
            until=to_optional_time(until),
            stratum=stratum,
            checked_at=to_optional_time(checked_at),
        )
        for code, message, since, until, stratum, checked_at in value
    )


def health_to_json(health: HubHealth) -> list[Any]:
    incident = health.incident
    return [
        health.failed,
        health.silent,
        health.failed_reads,
        to_text(health.responded_at),
        None
        if incident is None
        else {
            "since": to_text(incident.since),
            "calls": incident.calls,
            "failed": incident.failed,
            "example": incident.example,
            "probe": incident.probe,
            "probeAt": to_text(incident.probe_at),
            "byReads": incident.by_reads,
            "isRefusal": incident.is_refusal,
            "refusesReads": incident.refuses_reads,
        },
        to_text(health.refused_since),
    ]


def health_from_json(value: Any) -> HubHealth:
    failed, silent, failed_reads, responded_at, incident, *more = value
    return HubHealth(
        failed=failed,
        silent=silent,
        failed_reads=failed_reads,
        responded_at=to_optional_time(responded_at),
        refused_since=to_optional_time(more[0]) if more else None,
        incident=None
        if incident is None
        else HubIncident(
            since=to_time(incident["since"]),
            calls=incident["calls"],
            failed=incident["failed"],
            example=incident["example"],
            probe=incident["probe"],
            probe_at=to_time(incident["probeAt"]),
            by_reads=incident["byReads"],
            is_refusal=incident.get("isRefusal", False),
            refuses_reads=incident.get("refusesReads", False),
        ),
    )
