"""Checks that hold for every rollout, whatever happened to it."""

from collections import Counter
from datetime import datetime
from typing import Any

from tests.end_to_end.client import Api

IN_FLIGHT = ("dispatching", "accepted", "downloading", "applying", "soaking")


def list_updates(api: Api, rollout_id: str) -> list[Any]:
    return api.every(f"/rollouts/{rollout_id}/devices?limit=100")


def check_counters(api: Api, rollout_id: str) -> Any:
    """Check that the counters match the devices of an ended rollout; return them."""
    states = Counter(item["state"] for item in list_updates(api, rollout_id))
    found = api.get(f"/rollouts/{rollout_id}")
    counted = {name: states[name] for name in ("completed", "failed", "cancelled", "skipped")}
    counted |= {"total": states.total(), "queued": states["queued"]}
    counted["updating"] = sum(states[name] for name in IN_FLIGHT)
    assert found["counts"] == counted
    of_waves = [wave["counts"] for wave in found["waves"]]
    assert counted == {name: sum(counts[name] for counts in of_waves) for name in counted}
    return counted


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)
