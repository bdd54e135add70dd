"""The strategy's schema: what is written can be sent again, and the defaults are documented."""

import json
from dataclasses import fields

import pytest
from hypothesis import given

from functions.rollouts.model.strategy import (
    FailureGate,
    Offline,
    Retry,
    Strategy,
    WavePlan,
    Window,
)
from functions.wire import create_request
from functions.wire.schema import RequestSchema
from functions.wire.strategy import (
    FailureGateSchema,
    OfflineSchema,
    RetrySchema,
    StrategySchema,
    WavePlanSchema,
    WindowSchema,
)
from tests.functions.any_strategy import strategies


@given(strategies)
def test_a_strategy_in_a_response_can_be_sent_again(strategy: Strategy) -> None:
    body = {
        "firmware": {"version": "2", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": ["a"]},
        "strategy": StrategySchema.of(strategy).to_json_value(),
    }
    assert create_request.parse(json.dumps(body).encode()).strategy == strategy


def test_the_defaults_are_those_of_the_contract() -> None:
    assert StrategySchema.of(Strategy()).to_json_value() == {
        "waves": [],
        "successShare": None,
        "minCompleted": "25%",
        "failureGate": {
            "acceptable": "1%", "unacceptable": "10%", "confidence": 0.95, "onBreach": "pause",
        },
        "maxNotStarted": "10%",
        "stratifyBy": [],
        "soak": "PT0S",
        "maxInFlight": None,
        "timeout": "PT1H",
        "retry": {
            "attempts": 3, "on": ["timedOut", "unreachable"], "initialDelay": "PT30S",
            "maxDelay": "PT30M",
        },
        "offline": {"policy": "wait", "deadline": "P7D"},
        "onConflict": "supersede",
        "resolveTarget": "creation",
        "window": None,
        "verifyVersion": True,
        "whenAlreadyRunning": "skip",
    }  # fmt: skip


def test_an_empty_strategy_is_the_record_with_its_defaults() -> None:
    assert StrategySchema().to_record() == Strategy()


@pytest.mark.parametrize(
    ("schema", "record"),
    [
        (StrategySchema, Strategy),
        (WavePlanSchema, WavePlan),
        (FailureGateSchema, FailureGate),
        (RetrySchema, Retry),
        (OfflineSchema, Offline),
        (WindowSchema, Window),
    ],
)
def test_a_schema_has_the_fields_of_its_record(schema: type[RequestSchema], record: type) -> None:
    """Check that no option is only in the record, where no request could set it."""
    assert set(schema.model_fields) == {field.name for field in fields(record)}
