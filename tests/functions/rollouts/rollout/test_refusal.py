"""Check what is kept of a refusal of the app, and what a rollout says of it."""

from dataclasses import replace
from datetime import datetime

import pytest

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.outage import HEALTHY, HubHealth
from functions.rollouts.rollout import breaker, refusal
from tests.functions.builders import NOON, at

REFUSED = HubLoad(methods=5, failed=5, refused=5, example="401")


def make_refused(*, refuses_reads: bool = False) -> HubHealth:
    health = breaker.judge(HubHealth(responded_at=at(-60)), REFUSED, NOON)
    return refusal.refuse_access(health, "403") if refuses_reads else health


def test_a_hub_that_accepts_the_app_keeps_its_latest_response() -> None:
    for health in (make_refused(refuses_reads=True), HubHealth(failed=3, responded_at=at(-60))):
        assert refusal.accept_access(health) == HubHealth(responded_at=at(-60))


def test_a_refused_probe_shows_that_reads_are_refused_and_why() -> None:
    incident = make_refused(refuses_reads=True).incident
    assert incident is not None
    assert (incident.refuses_reads, incident.example) == (True, "403")
    assert refusal.refuse_access(HEALTHY, "403") is HEALTHY


@pytest.mark.parametrize(
    ("has_read", "read_refused", "since"),
    [
        (None, False, at(-60)),
        (False, True, at(-60)),
        (False, False, None),
        (True, False, None),
    ],
)
def test_only_reads_that_were_refused_leave_the_time_of_the_first_refusal(
    has_read: bool | None, since: datetime | None, *, read_refused: bool
) -> None:
    health = HubHealth(refused_since=at(-60))
    load = HubLoad(failed=1, refused=1)
    found = refusal.count(health, load, NOON, has_read=has_read, read_refused=read_refused)
    assert found == replace(health, refused_since=since)


def test_a_rollout_says_whether_anything_is_read_meanwhile() -> None:
    for refuses_reads, expected in ((False, "Reads may succeed;"), (True, "Nothing is sent or ")):
        incident = make_refused(refuses_reads=refuses_reads).incident
        assert incident is not None
        assert expected in refusal.describe(incident, "noon")
