"""The hub's counters as JSON and as Prometheus text (exposition format 0.0.4)."""

from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document
from simulator.hub.model.metering import Operation

PROMETHEUS = "text/plain; version=0.0.4"


def metrics_document(hub: Hub) -> Document:
    """Return totals since the start; `connectedDevices` and `messagesToday` are current."""
    traffic = hub.traffic
    counters, quota = traffic.counters, traffic.quota
    return {
        "operations": _by_name(counters.operations),
        "delayed": _by_name(counters.delayed),
        "throttled": _by_name(counters.throttled),
        "faulted": _by_name(counters.faulted),
        "overQuota": counters.over_quota,
        "queryRows": counters.query_rows,
        "desiredNotifications": counters.notifications,
        "connectedDevices": hub.connections.count,
        "disconnects": counters.disconnects,
        "messages": counters.messages,
        "messagesToday": traffic.daily.used_messages(hub.clock.now()),
        "messagesPerDay": traffic.daily.limit,
        "events": hub.events.last,
        "quota": None
        if quota is None
        else {"tier": quota.tier, "units": quota.units, "scale": quota.scale},
    }


def prometheus_text(hub: Hub) -> bytes:
    """Return one family for each counter, with the operation as its label where it has one."""
    lines: list[str] = []
    for name, value in metrics_document(hub).items():
        if isinstance(value, dict) and name != "quota":
            _family(lines, f"hub_{name}_total", "counter")
            lines += [
                f'hub_{name}_total{{operation="{kind}"}} {count}' for kind, count in value.items()
            ]
        elif isinstance(value, int):
            family, kind = _FAMILIES[name]
            _family(lines, family, kind)
            lines.append(f"{family} {value}")
    return ("\n".join(lines) + "\n").encode()


_FAMILIES = {
    "overQuota": ("hub_over_quota_total", "counter"),
    "queryRows": ("hub_query_rows_total", "counter"),
    "desiredNotifications": ("hub_desired_notifications_total", "counter"),
    "connectedDevices": ("hub_connected_devices", "gauge"),
    "disconnects": ("hub_disconnects_total", "counter"),
    "messages": ("hub_messages_total", "counter"),
    "messagesToday": ("hub_messages_today", "gauge"),
    "messagesPerDay": ("hub_messages_per_day", "gauge"),
    "events": ("hub_events_total", "counter"),
}


def _family(lines: list[str], name: str, kind: str) -> None:
    lines.append(f"# TYPE {name} {kind}")


def _by_name(counts: dict[Operation, int]) -> Document:
    return {operation.value: count for operation, count in counts.items()}
