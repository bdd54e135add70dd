"""Numbers, durations and texts of the page, and what it says of rollouts in lists."""

from typing import Any

import pytest

from tests.page.modules import Modules
from tests.page.test_model import at, counts, rollout

NOON = 1_795_435_200_000  # 2026-11-23T12:00:00Z


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0%"),
        (0.00001, "under 0.1%"),
        (0.042, "4.2%"),
        (0.5, "50%"),
        (0.99999, "99.9%"),
        (1, "100%"),
    ],
)
def test_neither_all_nor_none_is_said_of_what_is_close_to_it(
    call: Modules, share: float, text: str
) -> None:
    assert call("format.js", "percent", share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (59, "59 s"),
        (3599, "1 h 0 min"),
        (7190, "2 h 0 min"),
        (172_799, "2 days"),
        (86_400, "24 h 0 min"),
    ],
)
def test_a_duration_has_no_sixty_minutes(call: Modules, seconds: int, text: str) -> None:
    assert call("format.js", "duration", seconds) == text


def test_a_text_cannot_turn_the_text_around_it(call: Modules) -> None:
    assert call("format.js", "visible", "a\u202eb\u2067c") == "a\ufffdb\ufffdc"
    assert call("format.js", "visible", "שלום") == "שלום"
    assert len(call("format.js", "short", "x" * 1000)) == 80


@pytest.mark.parametrize(
    ("shown", "need"),
    [
        ({}, ""),
        ({"status": "paused", "statusReason": {"code": "x", "message": "Why."}}, "Paused: Why."),
        (
            {"statusReason": {"code": "awaitingApproval", "message": "Wave b waits."}},
            "Wave b waits.",
        ),
        ({"statusReason": {"code": "frozen", "message": "Frozen."}}, ""),
        ({"strata": [{"name": "edge-30", "status": "frozen"}]}, "Frozen strata: edge-30"),
        (
            {"failures": [{"code": "wentDark", "count": 2}]},
            "2 devices went dark: accepted the update, and are offline since.",
        ),
        ({"failures": [{"code": "wentDark", "count": 2}], "status": "completed"}, ""),
    ],
)
def test_what_needs_a_person_says_why(call: Modules, shown: dict[str, Any], need: str) -> None:
    assert call("model.js", "describeNeed", rollout(**shown)) == need


def test_the_average_speed_is_that_since_the_start(call: Modules) -> None:
    half = counts(total=20, queued=6, updating=4, completed=9, failed=1)
    now = NOON + 600_000
    assert call("model.js", "averageEnd", rollout(counts=half), now) == 600
    for more in ({"status": "paused"}, {"startedAt": None}, {"statusReason": {"code": "frozen"}}):
        assert call("model.js", "averageEnd", rollout(counts=half, **more), now) is None
    few = counts(total=20, queued=16, completed=4)
    assert call("model.js", "averageEnd", rollout(counts=few), now) is None


NONE = {"active": False, "revision": 0}
ACTIVE = {"active": True, "revision": 3, "by": "ada", "reason": "incident", "until": at(30)}
REMOVED = {"active": False, "revision": 4, "endedBy": "bob", "endedReason": "solved"}


class TestFreeze:
    """What the dialog of a freeze says."""

    def test_effects_have_the_counts_of_all_open_rollouts(self, call: Modules) -> None:
        opened = [rollout(counts=counts(queued=5, updating=1)), rollout(counts=counts(queued=2))]
        found = {"rollouts": opened, "isComplete": True}
        first, second = call("commands.js", "freezeEffects", NONE, found)
        assert "2 open rollouts with 7 queued devices" in first
        assert second.startswith("1 device that is updating")
        found["isComplete"] = False
        assert "at least 2 open" in call("commands.js", "freezeEffects", ACTIVE, found)[0]

    def test_it_is_described_by_whom_until_when_and_why(self, call: Modules) -> None:
        text = call("commands.js", "describeFreeze", ACTIVE | {"condition": "tags.a = 'b'"})
        assert "match tags.a = 'b'" in text
        assert "by ada, until 2026-11-23 12:30:00 UTC. Reason: incident" in text

    def test_a_change_meanwhile_is_noticed(self, call: Modules) -> None:
        def change(before: Any, now: Any) -> Any:
            return call("commands.js", "describeFreezeChange", before, now)

        assert change(NONE, NONE) == ""
        assert "ada has set a freeze" in change(NONE, ACTIVE)
        assert change(ACTIVE, ACTIVE | {"active": False}) == "The freeze of ada is over."
        assert change(ACTIVE, ACTIVE | REMOVED) == "The freeze of ada is over: solved."

    @pytest.mark.parametrize(
        ("before", "now", "sent", "is_ours"),
        [
            (NONE, ACTIVE, {"reason": "incident"}, True),
            (NONE, ACTIVE, {"reason": "another"}, False),
            (NONE, NONE, {"reason": "incident"}, False),
            (ACTIVE, {"active": False, "revision": 4, "endedBy": "ada"}, {"by": "ada"}, True),
            (ACTIVE, {"active": False, "revision": 4, "endedBy": "bob"}, {"by": "ada"}, False),
            (ACTIVE, REMOVED, {"reason": "solved"}, True),
            (ACTIVE, REMOVED, {"reason": "another"}, False),
            (ACTIVE, ACTIVE, {}, False),
        ],
    )
    def test_what_another_person_did_is_not_taken_for_the_own_command(
        self, call: Modules, before: Any, now: Any, sent: Any, is_ours: bool
    ) -> None:
        assert bool(call("commands.js", "describeFreezeDone", before, now, sent)) is is_ours

    def test_until_is_in_utc(self, call: Modules) -> None:
        script = "return module.FREEZE_INPUTS.map((item, n) => item.read(given[n]))"
        read = call.run("commands.js", script, "2026-12-01T02:00", "tags.a = 1")
        assert read == [{"until": "2026-12-01T02:00:00Z"}, {"condition": "tags.a = 1"}]
        assert call.run("commands.js", script, "", "") == [{}, {}]


@pytest.mark.parametrize(
    ("sent", "is_ours"),
    [
        ({"reason": "runs hot", "by": "ada"}, True),
        ({"by": "ada"}, True),
        ({}, True),
        ({"reason": "too cold", "by": "ada"}, False),
        ({"by": "bob"}, False),
    ],
)
def test_an_event_of_another_person_is_not_taken_for_the_own_command(
    call: Modules, sent: Any, is_ours: bool
) -> None:
    event = {"at": at(1), "action": "paused", "by": "ada", "message": "Paused by ada: runs hot"}
    assert call("commands.js", "isOf", event, sent) is is_ours
