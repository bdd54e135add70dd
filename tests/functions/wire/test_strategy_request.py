"""The strategy of a create: what is accepted, and where each error points."""

from datetime import UTC, datetime, time
from typing import Any

import pytest

from functions.rollouts.model.strategy import (
    Day,
    FailureGate,
    OnBreach,
    RetryOn,
    Share,
    Strategy,
    WavePlan,
    WhenAlreadyRunning,
    Window,
)
from functions.wire.create_request import parse
from tests.functions.wire.bodies import body, read_pointers


def test_a_strategy_with_all_fields_is_accepted() -> None:
    request = parse(
        body(
            strategy={
                "waves": [{"name": "canary", "size": "1%"}, {"size": 50, "approval": True}],
                "successShare": "97.5%",
                "failureGate": {
                    "acceptable": "0.5%",
                    "unacceptable": "20%",
                    "confidence": 0.99,
                    "onBreach": "rollback",
                },
                "stratifyBy": ["tags.model", "properties.reported.site.id"],
                "soak": "PT0S",
                "maxInFlight": 20,
                "verifyVersion": False,
                "whenAlreadyRunning": "reinstall",
                "window": {
                    "start": "22:30",
                    "end": "05:00",
                    "days": ["Mon", "Sat"],
                    "timezone": "Europe/Berlin",
                },
            },
            startAt="2026-12-01T02:00:00+01:00",
            planHash="abc",
        )
    )
    assert request.start_at == datetime(2026, 12, 1, 1, tzinfo=UTC)
    assert request.plan_hash == "abc"
    assert request.strategy == Strategy(
        waves=(
            WavePlan(name="canary", size=Share(100)),
            WavePlan(size=50, approval=True),
        ),
        success_share=Share(9750),
        failure_gate=FailureGate(
            acceptable=Share(50),
            unacceptable=Share(2000),
            confidence=0.99,
            on_breach=OnBreach.ROLLBACK,
        ),
        stratify_by=("tags.model", "properties.reported.site.id"),
        max_in_flight=20,
        verify_version=False,
        when_already_running=WhenAlreadyRunning.REINSTALL,
        window=Window(
            start=time(22, 30),
            end=time(5),
            timezone="Europe/Berlin",
            days=frozenset({Day.MON, Day.SAT}),
        ),
    )


@pytest.mark.parametrize(
    ("strategy", "pointer"),
    [
        ({"waves": [{}]}, "/waves/0/size"),
        ({"waves": [{"size": 0}]}, "/waves/0/size"),
        ({"waves": [{"size": "0%"}]}, "/waves/0/size"),
        ({"waves": [{"size": "101%"}]}, "/waves/0/size"),
        ({"waves": [{"size": "1.234%"}]}, "/waves/0/size"),
        ({"waves": [{"size": 1.5}]}, "/waves/0/size"),
        ({"waves": [{"size": True}]}, "/waves/0/size"),
        ({"waves": [{"size": 1}] * 51}, "/waves"),
        ({"waves": [{"size": 1, "name": ""}]}, "/waves/0/name"),
        ({"waves": [{"size": 1, "name": "x" * 65}]}, "/waves/0/name"),
        ({"waves": [{"size": 1, "name": "a"}, {"size": 1, "name": "a"}]}, "/waves/1/name"),
        ({"waves": [{"size": 1_000_001}]}, "/waves/0/size"),
        ({"successShare": 0.9}, "/successShare"),
        ({"successShare": "100.01%"}, "/successShare"),
        ({"successShare": "-1%"}, "/successShare"),
        ({"successShare": "5"}, "/successShare"),
        ({"successShare": "5%\n"}, "/successShare"),
        ({"failureGate": {"acceptable": "0.00%"}}, "/failureGate/acceptable"),
        ({"failureGate": {"acceptable": "10%"}}, "/failureGate"),
        ({"failureGate": {"unacceptable": "1%"}}, "/failureGate"),
        ({"failureGate": {"unacceptable": "100%"}}, "/failureGate/unacceptable"),
        ({"failureGate": {"confidence": 0.5}}, "/failureGate/confidence"),
        ({"failureGate": {"confidence": 0.99991}}, "/failureGate/confidence"),
        ({"failureGate": {"confidence": "0.9"}}, "/failureGate/confidence"),
        ({"failureGate": {"onBreach": "hope"}}, "/failureGate/onBreach"),
        ({"stratifyBy": ["model"]}, "/stratifyBy/0"),
        ({"stratifyBy": ["tags"]}, "/stratifyBy/0"),
        ({"stratifyBy": ["tags.1st"]}, "/stratifyBy/0"),
        ({"stratifyBy": ["tags.a OR 1=1"]}, "/stratifyBy/0"),
        ({"stratifyBy": ["tags.a\n"]}, "/stratifyBy/0"),
        ({"stratifyBy": ["properties.a.b"]}, "/stratifyBy/0"),
        ({"stratifyBy": ["tags.a"] * 4}, "/stratifyBy"),
        ({"soak": "-PT1S"}, "/soak"),
        ({"soak": "P365DT1S"}, "/soak"),
        ({"verifyVersion": "yes"}, "/verifyVersion"),
        ({"verifyVersion": None}, "/verifyVersion"),
        ({"whenAlreadyRunning": "update"}, "/whenAlreadyRunning"),
        ({"whenAlreadyRunning": True}, "/whenAlreadyRunning"),
        ({"maxInFlight": 0}, "/maxInFlight"),
        ({"maxInFlight": 1.5}, "/maxInFlight"),
        ({"window": {"start": "24:00", "end": "05:00", "timezone": "UTC"}}, "/window/start"),
        ({"window": {"start": "1:00", "end": "05:00", "timezone": "UTC"}}, "/window/start"),
        ({"window": {"start": "01:00", "end": "05:00", "timezone": "Mars"}}, "/window/timezone"),
        (
            {"window": {"start": "01:00", "end": "05:00", "timezone": "localtime"}},
            "/window/timezone",
        ),
        ({"window": {"start": "01:00", "end": "05:00"}}, "/window/timezone"),
        (
            {"window": {"start": "01:00", "end": "05:00", "timezone": "UTC", "days": ["Mon"] * 2}},
            "/window/days",
        ),
        (
            {"window": {"start": "01:00", "end": "05:00", "timezone": "UTC", "days": ["Mo"]}},
            "/window/days/0",
        ),
    ],
)
def test_the_error_has_a_pointer_to_the_invalid_field_of_a_strategy(
    strategy: dict[str, Any], pointer: str
) -> None:
    assert read_pointers(body(strategy=strategy)) == [f"/strategy{pointer}"]


@pytest.mark.parametrize(
    "strategy",
    [
        {"waves": [{"size": 1}] * 50},
        {"waves": [{"size": "0.01%", "name": "x" * 64}, {"size": "100%", "name": "ä"}]},
        {"waves": [{"size": 1_000_000}, {"size": 2.0}]},
        {"successShare": "0%"},
        {"successShare": "100.00%"},
        {"failureGate": {"acceptable": "0.01%", "unacceptable": "0.02%", "confidence": 0.5001}},
        {"failureGate": {"acceptable": "99.98%", "unacceptable": "99.99%", "confidence": 0.9999}},
        {"stratifyBy": ["tags.a", "properties.desired._b.c9", "properties.reported.D"]},
        {"soak": "P365D", "timeout": "PT0.000001S", "offline": {"deadline": "P52W"}},
        {"maxInFlight": 1, "retry": {"attempts": 100, "on": []}},
        {"maxInFlight": 1_000_000, "retry": {"attempts": 1, "on": list(RetryOn)}},
        {"window": {"start": "00:00", "end": "23:59", "days": [*Day], "timezone": "UTC"}},
        {"window": {"start": "02:00", "end": "02:00", "days": [], "timezone": "Asia/Kathmandu"}},
    ],
)
def test_values_at_the_limits_are_accepted(strategy: dict[str, Any]) -> None:
    parse(body(strategy=strategy))


@pytest.mark.parametrize("text", ["7%", "07%", "7.0%", "7.00%"])
def test_a_share_may_have_leading_and_trailing_zeros(text: str) -> None:
    assert parse(body(strategy={"successShare": text})).strategy.success_share == Share(700)


@pytest.mark.parametrize(("text", "hundredths"), [("0.1%", 10), ("0.07%", 7), ("99.99%", 9999)])
def test_a_share_has_a_precision_of_one_hundredth(text: str, hundredths: int) -> None:
    assert parse(body(strategy={"successShare": text})).strategy.success_share == Share(hundredths)
