"""What the page derives from data: its modules, called in Node, without a document."""

from typing import Any

import pytest

from tests.page.modules import Modules

NOON = "2026-11-23T12:00:00Z"


def at(minutes: int) -> str:
    return f"2026-11-23T{12 + minutes // 60:02}:{minutes % 60:02}:00Z"


def event(minutes: int, action: str, message: str = "") -> dict[str, str]:
    return {"at": at(minutes), "action": action, "by": "ada", "message": message}


def counts(**known: int) -> dict[str, int]:
    names = ("total", "queued", "updating", "completed", "failed", "cancelled", "skipped")
    return dict.fromkeys(names, 0) | known


def rollout(**more: Any) -> dict[str, Any]:
    shown = {
        "id": "r",
        "revision": 7,
        "status": "running",
        "statusReason": None,
        "startedAt": at(0),
        "endedAt": None,
        "counts": counts(total=4, queued=4),
        "waves": [],
        "gate": [],
        "gateHistory": [],
        "strategy": {"maxInFlight": None},
        "createdAt": at(0),
        "startAt": None,
    }
    return shown | more


@pytest.mark.parametrize(
    ("minute", "status", "reason"),
    [
        (0, "scheduled", None),
        (-1, "not created yet", None),
        (2, "running", None),
        (3, "running", "awaitingApproval"),
        (5, "running", None),
        (6, "paused", "paused"),
        (9, "cancelled", "cancelled"),
    ],
)
def test_a_status_is_that_of_a_time(
    call: Modules, minute: int, status: str, reason: str | None
) -> None:
    events = [
        event(0, "created"),
        event(1, "started"),
        event(3, "approvalAsked", "Wave rest waits."),
        event(4, "approved"),
        event(6, "paused", "Paused by ada."),
        event(7, "retried"),
        event(8, "cancelled"),
    ]
    ended = rollout(status="cancelled", endedAt=at(9), statusReason={"code": "x", "message": ""})
    shown = call("model.js", "rolloutAt", ended, events, [], at(minute))
    assert shown["status"] == status
    assert (shown["statusReason"] or {}).get("code") == reason
    assert (shown["endedAt"] is None) is (minute < 9)


@pytest.mark.parametrize(
    ("actions", "status"),
    [
        (["created", "paused", "resumed"], "scheduled"),
        (["created", "started", "rolledBack"], "cancelled"),
        (["created", "started", "completed", "rolledBack"], "completed"),
        (["created", "started", "cancelled", "ended", "retried"], "running"),
        (["created", "started", "paused", "retried", "waveFailed"], "paused"),
        (["created", "paused", "cancelled", "ended"], "cancelled"),
        (["created", "cancelled", "ended", "retried"], "scheduled"),
    ],
)
def test_a_status_follows_from_the_events_before(
    call: Modules, actions: list[str], status: str
) -> None:
    events = [event(minute, action) for minute, action in enumerate(actions)]
    assert call("model.js", "statusAt", rollout(), events, at(30))["status"] == status


def step(minutes: int, ratio: float, failed: int | None) -> dict[str, Any]:
    return {"at": at(minutes), "wave": "w", "stratum": None, "ratio": ratio, "failed": failed}


def test_failures_of_one_tick_are_separate_steps(call: Modules) -> None:
    steps = [step(1, 2.0, 1), step(2, 1.5, 1), step(3, 4.5, 4)]
    found = call("model.js", "splitFailures", steps)
    assert [item["failure"] for item in found] == [1, None, 2, 3, 4]
    assert [item["ratio"] for item in found] == [2.0, 1.5, 2.5, 3.5, 4.5]
    assert [item["isGuess"] for item in found] == [False, False, True, True, False]
    assert len({item["at"] for item in found[2:]}) == 1


def test_steps_of_an_earlier_release_are_one_failure_each(call: Modules) -> None:
    found = call("model.js", "splitFailures", [step(1, 2.0, None), step(2, 4.0, None)])
    assert [item["failure"] for item in found] == [1, 2]


class TestWhereItHurts:
    """Rates of failure by a property of the devices, with intervals."""

    def test_wilsons_interval(self, call: Modules) -> None:
        low, high = call("model.js", "wilson", 9, 120)
        # Newcombe, Statistics in Medicine 17 (1998), method 3: 4.0% to 13.6%.
        assert (round(low, 3), round(high, 3)) == (0.040, 0.136)
        assert call("model.js", "wilson", 0, 0) == [0, 1]

    def test_a_value_is_worse_only_if_the_intervals_are_apart(self, call: Modules) -> None:
        states = ["failed timedOut"] * 9 + ["completed"] * 111 + ["completed"] * 240
        models = ["a"] * 120 + ["b"] * 240
        worst, best = call("model.js", "failureRates", "model", models, states)
        assert (worst["value"], worst["differs"], best["differs"]) == ("a", "worse", "better")
        few = call("model.js", "failureRates", "model", ["a", "b"], ["failed x", "completed"])
        assert [rate["differs"] for rate in few] == ["", ""]

    def test_one_value_alone_is_not_compared(self, call: Modules) -> None:
        rates = call("model.js", "failureRates", "version", ["1.0"] * 4, ["failed x"] * 4)
        assert [rate["differs"] for rate in rates] == [""]


class TestSentences:
    """The sentences on top of a rollout."""

    @pytest.mark.parametrize(
        ("shown", "stop", "end"),
        [
            ({"status": "paused"}, "It has stopped", "Not while it is paused"),
            (
                {"statusReason": {"code": "awaitingApproval", "message": "Wave rest waits."}},
                "It waits for a person",
                "Not before the approval",
            ),
            ({"status": "completed", "endedAt": NOON}, "No: it has ended", "Done"),
            ({"status": "failed", "endedAt": NOON}, "It has ended: failed", "Done"),
        ],
    )
    def test_fit_the_status(
        self, call: Modules, shown: dict[str, Any], stop: str, end: str
    ) -> None:
        states: dict[str, Any] = {"at": at(5), "curve": None, "forecast": None, "halts": []}
        assert call("model.js", "stopSentence", rollout(**shown))["text"] == stop
        assert call("model.js", "endSentence", rollout(**shown), states, [])[0] == end

    @pytest.mark.parametrize(
        ("shown", "text", "kind"),
        [
            ({}, "Yes: running", "good"),
            (
                {"status": "completed", "statusReason": {"code": "completed"}},
                "Yes: completed",
                "good",
            ),
            ({"status": "failed"}, "No: failed", "bad"),
            ({"status": "cancelled"}, "Cancelled", "warn"),
            ({"statusReason": {"code": "frozen"}}, "Take care: running", "warn"),
            ({"statusReason": {"code": "window"}}, "Yes: running", "good"),
        ],
    )
    def test_say_whether_the_rollout_is_healthy(
        self, call: Modules, shown: dict[str, Any], text: str, kind: str
    ) -> None:
        found = call("model.js", "healthSentence", rollout(**shown))
        assert (found["text"], found["kind"]) == (text, kind)

    def test_name_the_next_failure(self, call: Modules) -> None:
        gate = {
            "wave": "canary",
            "stratum": None,
            "ratio": 2.0,
            "threshold": 2.9,
            "failuresToBreach": 1,
            "healthyToAcceptable": 23,
        }
        stop = call("model.js", "stopSentence", rollout(gate=[gate]))
        assert stop["text"].startswith("Stops at the next failure in wave canary.")
        assert "Needs 23 more healthy devices" in stop["text"]
        assert stop["kind"] == "bad"
