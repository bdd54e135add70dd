"""Where plan and reality part: times in which starts were held or limited, and by what."""

from typing import Any

import pytest

from tests.page.modules import Modules
from tests.page.test_model import at, event, rollout

MINUTE = 60_000
NOON = 1_795_435_200_000  # 2026-11-23T12:00:00Z


def states(minutes: int = 20, **more: Any) -> dict[str, Any]:
    forecast = {
        "duration": "PT1H",
        "secondsPerDevice": 120,
        "limitedBy": "twinUpdates",
        "startsPerSecond": 1.0,
        "startsLimitedBy": "twinUpdates",
    }
    return {
        "at": at(minutes),
        "halts": [],
        "curve": None,
        "total": 600,
        "forecast": forecast,
    } | more


def curve(*started: int, ended: int = 0) -> dict[str, Any]:
    none = [0] * len(started)
    return {"stepSeconds": 60, "started": started, "completed": [ended, *none[1:]], "failed": none}


def spans(found: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Return the name of each, and the minutes from noon at which it begins and ends."""
    return [
        (item["name"], (item["from"] - NOON) // MINUTE, (item["to"] - NOON) // MINUTE)
        for item in found
    ]


class TestHalts:
    """Times in which the rollout stood still."""

    def find(self, call: Modules, events: list[Any], given: Any = None, **more: Any) -> Any:
        return call("model.js", "listHalts", rollout(**more), events, given or states())

    def test_begin_and_end_with_their_events(self, call: Modules) -> None:
        events = [
            event(1, "approvalAsked"),
            event(3, "approved"),
            event(4, "paused", "Paused by ada."),
            event(5, "frozen"),
            event(6, "resumed"),
            event(8, "unfrozen"),
            event(9, "paused"),
        ]
        halts = self.find(call, events)
        assert spans(halts) == [
            ("waits for approval", 1, 3),
            ("paused", 4, 6),
            ("frozen", 5, 8),
            ("paused", 9, 20),
        ]
        assert [halt["lasts"] for halt in halts] == [False, False, False, True]
        assert halts[1]["detail"] == "Paused by ada."

    @pytest.mark.parametrize("end", ["cancelled", "rolledBack", "failed"])
    def test_end_with_the_rollout(self, call: Modules, end: str) -> None:
        events = [event(1, "frozen"), event(4, end)]
        assert spans(self.find(call, events, status="cancelled", endedAt=at(6))) == [
            ("frozen", 1, 4)
        ]
        ended = self.find(call, events[:1], status="completed", endedAt=at(6))
        assert spans(ended) == [("frozen", 1, 6)]
        assert not ended[0]["lasts"]

    def test_of_a_freeze_that_replaces_another_do_not_overlap(self, call: Modules) -> None:
        events = [event(1, "frozen"), event(4, "frozen"), event(6, "unfrozen")]
        assert spans(self.find(call, events)) == [("frozen", 1, 4), ("frozen", 4, 6)]

    def test_of_some_devices_do_not_hold_the_others(self, call: Modules) -> None:
        message = "Frozen by ada: no device starts that matches tags.a = 1. Reason: b."
        halts = self.find(call, [event(1, "frozen", message)])
        assert [(halt["name"], halt["isHalt"]) for halt in halts] == [
            ("some devices frozen", False)
        ]
        given = states(5, curve=curve(60, 60, 60, 60, 60))
        plateaus = call("model.js", "listPlateaus", rollout(), given, halts)
        assert spans(plateaus) == [("the hub's quota of twin updates: 1 a second", 0, 5)]
        assert call("model.js", "endSentence", rollout(), states(), halts)[0].startswith("Planned")

    def test_of_the_hub_and_the_window_are_named_by_their_code(self, call: Modules) -> None:
        known = [
            ("dailyQuota", 1, 4),
            ("hubUnavailable", 5, None),
            ("window", 6, 90),
            ("new", 7, 8),
        ]
        halts = [
            {"code": code, "message": code, "since": at(since), "until": until and at(until)}
            for code, since, until in known
        ]
        found = self.find(call, [], states(halts=halts))
        assert spans(found) == [
            ("day's messages used up", 1, 4),
            ("hub fails", 5, 20),
            ("window closed", 6, 20),
            ("new", 7, 8),
        ]
        assert [halt["lasts"] for halt in found] == [False, True, True, False]

    def test_leave_out_windows_from_before_the_window_was_changed(self, call: Modules) -> None:
        halts = [
            {"code": "window", "message": "", "since": at(since), "until": at(since + 2)}
            for since in (1, 8)
        ]
        changes = [
            event(3, "changed", "Changed by ada: maxInFlight none -> 20."),
            event(5, "changed", "Changed by ada: window none -> 22:00 to 05:00 UTC."),
        ]
        assert len(self.find(call, changes[:1], states(halts=halts))) == 2
        assert spans(self.find(call, changes, states(halts=halts))) == [("window closed", 8, 10)]


class TestPlateaus:
    """Times in which starts were as fast as something allowed, or waited for a wave."""

    def find(self, call: Modules, given: Any, halts: Any = (), **more: Any) -> Any:
        return spans(call("model.js", "listPlateaus", rollout(**more), given, list(halts)))

    def test_of_the_hubs_rate_are_named_with_it(self, call: Modules) -> None:
        found = self.find(call, states(5, curve=curve(60, 50, 60, 5, 5)))
        assert found == [("the hub's quota of twin updates: 1 a second", 0, 3)]

    def test_of_devices_at_once_are_named_with_their_number(self, call: Modules) -> None:
        given = states(4, curve=curve(20, 0, 0, 0))
        found = self.find(call, given, strategy={"maxInFlight": 20})
        assert found == [("maxInFlight: 20 devices at once", 0, 4)]

    def test_before_the_next_wave_name_the_wave_that_is_waited_for(self, call: Modules) -> None:
        waves = [
            {"name": "canary", "startedAt": at(0)},
            {"name": "rest", "startedAt": at(4)},
        ]
        given = states(6, curve=curve(5, 0, 0, 0, 5, 0))
        assert self.find(call, given, waves=waves, counts={"queued": 0}) == [
            ("waits for wave canary", 1, 4)
        ]

    def test_of_devices_that_are_away_say_that_none_is_ready(self, call: Modules) -> None:
        waves = [{"name": "all", "startedAt": at(0)}]
        given = states(4, curve=curve(5, 0, 0, 0))
        assert self.find(call, given, waves=waves, counts={"queued": 3}) == [
            ("no queued device is ready", 1, 4)
        ]
        assert self.find(call, given, waves=waves, counts={"queued": 0}) == []

    def test_are_not_named_during_a_halt(self, call: Modules) -> None:
        halt = {"from": NOON, "to": NOON + 3 * MINUTE, "isHalt": True}
        given = states(5, curve=curve(60, 60, 60, 60, 60))
        assert self.find(call, given, [halt]) == [
            ("the hub's quota of twin updates: 1 a second", 3, 5)
        ]

    def test_of_a_single_step_are_noise(self, call: Modules) -> None:
        assert self.find(call, states(3, curve=curve(20, 0, 20)), counts={"queued": 3}) == []

    def test_need_a_start(self, call: Modules) -> None:
        assert self.find(call, states(), startedAt=None) == []


class TestEnd:
    """When the rollout is done."""

    def say(self, call: Modules, given: Any, halts: Any = (), **more: Any) -> Any:
        return call("model.js", "endSentence", rollout(**more), given, list(halts))

    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            ("window", "Not before the window opens"),
            ("dailyQuota", "Not before there are messages again"),
            ("hubUnavailable", "Not before the hub responds"),
        ],
    )
    def test_is_not_forecast_while_the_rollout_is_held(
        self, call: Modules, code: str, sentence: str
    ) -> None:
        halts = [{"code": code, "message": "Why.", "since": at(1), "until": None}]
        given = states(halts=halts, curve=curve(60, 60, ended=60))
        found = call("model.js", "listHalts", rollout(), [], given)
        assert self.say(call, given, found) == [sentence, "Why."]
        counts = {"queued": 0, "updating": 60}
        assert "between" in self.say(call, given, found, counts=counts)[1]

    def test_has_dates_if_it_is_not_today(self, call: Modules) -> None:
        counts = {"queued": 60 * 60 * 24, "updating": 0}
        text, detail = self.say(call, states(1, curve=curve(60, ended=60)), counts=counts)
        assert text == "In about 24 h 0 min"
        assert detail.startswith("between 2026-11-24 07:")
        assert "and 2026-11-24 20:" in detail

    def test_of_a_cancelled_rollout_waits_for_devices_under_way(self, call: Modules) -> None:
        counts = {"queued": 0, "updating": 3}
        assert self.say(call, states(), status="cancelled", counts=counts) == [
            "Soon: it is cancelled",
            "3 devices go on to their end",
        ]
