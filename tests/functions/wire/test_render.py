"""What the API shows is what its description says, and what a create would take."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from functions.rollouts.model.strategy import (
    Day,
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    Retry,
    RetryOn,
    Share,
    Strategy,
    WavePlan,
    Window,
)
from functions.rollouts.model.target import Target, TargetResolution
from functions.rollouts.model.wave import Counts
from functions.use_cases import plan, read
from functions.use_cases.create import create
from functions.wire import create_request, render, schemas
from tests.functions.builders import make_rollout
from tests.functions.use_cases.world import World, devices

durations = st.timedeltas(timedelta(microseconds=1), timedelta(days=365))
shares = st.integers(0, 10_000).map(Share)
waves = st.builds(
    WavePlan,
    size=st.integers(1, 1_000_000) | st.integers(1, 10_000).map(Share),
    name=st.none() | st.text("abc ä", min_size=1, max_size=64),
    approval=st.booleans(),
)
gates = st.builds(
    FailureGate,
    acceptable=st.integers(1, 5_000).map(Share),
    unacceptable=st.integers(5_001, 9_999).map(Share),
    confidence=st.floats(0.51, 0.9999),
    on_breach=st.sampled_from(OnBreach),
)
times = st.times().map(lambda value: value.replace(second=0, microsecond=0))
strategies = st.builds(
    Strategy,
    waves=st.lists(waves, max_size=5, unique_by=lambda wave: wave.name or object()).map(tuple),
    success_share=shares,
    failure_gate=gates,
    stratify_by=st.lists(st.sampled_from(["tags.model", "tags.site"]), max_size=3).map(tuple),
    soak=durations | st.just(timedelta(0)),
    max_in_flight=st.none() | st.integers(1, 1_000_000),
    timeout=durations,
    retry=st.builds(
        Retry,
        attempts=st.integers(1, 100),
        on=st.frozensets(st.sampled_from(RetryOn)),
        initial_delay=durations,
        max_delay=durations,
    ),
    offline=st.builds(Offline, policy=st.sampled_from(OfflinePolicy), deadline=durations),
    window=st.none()
    | st.builds(
        Window,
        start=times,
        end=times,
        timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
        days=st.frozensets(st.sampled_from(Day)),
    ),
)


@given(strategies)
def test_a_strategy_as_it_is_shown_can_be_asked_for_again(strategy: Strategy) -> None:
    body = {
        "firmware": {"version": "2", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": ["a"]},
        "strategy": render.strategy(strategy),
    }
    assert create_request.parse(json.dumps(body).encode()).strategy == strategy


def test_the_defaults_are_those_of_the_contract() -> None:
    assert render.strategy(Strategy()) == {
        "waves": [],
        "successShare": "100%",
        "failureGate": {
            "acceptable": "1%", "unacceptable": "10%", "confidence": 0.95, "onBreach": "pause",
        },
        "stratifyBy": [],
        "soak": "PT0S",
        "maxInFlight": None,
        "timeout": "PT1H",
        "retry": {
            "attempts": 3, "on": ["timedOut", "unreachable"], "initialDelay": "PT30S",
            "maxDelay": "PT30M",
        },
        "offline": {"policy": "wait", "deadline": "P7D"},
        "window": None,
    }  # fmt: skip


def check(model: type[BaseModel], shown: Any) -> None:
    """Nothing is missing, of another type, null where it should be absent, or too much."""
    model.model_validate_json(json.dumps(shown), strict=True)


@pytest.fixture
def world() -> World:
    return World(devices(3))


def test_everything_that_is_shown_is_as_it_is_described(world: World) -> None:
    creation = create(world.services, world.request(labels={"a": "b"}), None)
    check(schemas.RolloutAnswer, render.creation(creation))
    rollout_id = creation.rollout.id
    world.until_over(rollout_id)
    store, now = world.stores.rollouts, world.now
    overview = read.get_overview(store, rollout_id)
    shown = render.overview(overview.rollout, overview.device_ids)
    check(schemas.RolloutAnswer, shown)
    assert sorted(shown["target"]["deviceIds"]) == ["d-000", "d-001", "d-002"]
    found = read.explain_device_update(store, rollout_id, "d-000", now)
    check(schemas.DeviceUpdateInFullAnswer, render.device_update_in_full(found))
    (entry,) = read.list_device_history(world.stores.targets, "d-000", 10, None, now).items
    check(schemas.DeviceHistoryAnswer, render.device_history(entry))
    for event in read.list_events(store, rollout_id, 10, None).items:
        check(schemas.EventAnswer, render.event(event))
    planned = plan.plan(world.services, world.request())
    check(schemas.PlanAnswer, render.plan(planned))


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"target": Target(condition="tags.a = 1")}, {"condition": "tags.a = 1"}),
        ({"resolution": TargetResolution(devices=5_000)}, {"deviceCount": 5_000}),
    ],
)
def test_a_target_that_is_no_short_list_is_shown_in_few_words(
    changes: dict[str, Any], target: dict[str, Any]
) -> None:
    rollout = make_rollout(**changes)
    assert render.overview(rollout)["target"] == target


def test_a_soaking_device_is_shown_as_updating() -> None:
    counts = render._counts(Counts(queued=1, updating=2, soaking=3, completed=4))  # noqa: SLF001
    assert counts == {
        "total": 10, "queued": 1, "updating": 5, "completed": 4, "failed": 0, "cancelled": 0,
        "skipped": 0,
    }  # fmt: skip
