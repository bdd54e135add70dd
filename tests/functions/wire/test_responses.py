"""Responses are as the API describes them."""

import json
from typing import Any

import pytest

from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.target import Target, TargetResolution
from functions.rollouts.model.wave import Counts
from functions.triggers.responses import json_response
from functions.use_cases import read
from functions.use_cases.create import create
from functions.wire.device_update import (
    DeviceHistorySchema,
    DeviceUpdateInFullSchema,
    MethodResponseSchema,
)
from functions.wire.event import EventSchema
from functions.wire.rollout import CountsSchema, RolloutSchema
from functions.wire.schema import Schema
from tests.functions.builders import make_rollout
from tests.functions.triggers.described import validator
from tests.functions.use_cases.world import World, devices


def check(body: Schema) -> Any:
    """Check that a body matches its published schema; return it as a caller reads it."""
    received = json.loads(json_response(body).get_body())
    validator(body.published_name("serialization")).validate(received)
    return received


def test_every_response_matches_its_published_schema() -> None:
    world = World(devices(3))
    created = create(world.services, world.request(labels={"a": "b"}), None)
    check(RolloutSchema.of_new(created.rollout, created.updates))
    rollout_id = created.rollout.id
    world.until_over(rollout_id)
    store, now = world.stores.rollouts, world.now
    overview = read.get_overview(store, rollout_id)
    body = check(RolloutSchema.of(overview.rollout, overview.device_ids))
    assert sorted(body["target"]["deviceIds"]) == ["d-000", "d-001", "d-002"]
    update = read.explain_device_update(store, rollout_id, "d-000", now)
    (entry,) = read.list_device_history(world.stores.targets, "d-000", 10, None, now).items
    for schema, found in ((DeviceUpdateInFullSchema, update), (DeviceHistorySchema, entry)):
        check(schema.of(found.update, rollout=found.rollout, explanation=found.explanation))
    for event in read.list_events(store, rollout_id, 10, None).items:
        check(EventSchema.of(event))


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"target": Target(condition="tags.a = 1")}, {"condition": "tags.a = 1"}),
        ({"resolution": TargetResolution(devices=5_000)}, {"deviceCount": 5_000}),
    ],
)
def test_a_target_without_a_short_list_is_a_condition_or_a_count(
    changes: dict[str, Any], target: dict[str, Any]
) -> None:
    rollout = make_rollout(**changes)
    assert RolloutSchema.of(rollout).to_json_value()["target"] == target


def test_a_soaking_device_counts_as_updating() -> None:
    counts = CountsSchema.of(Counts(queued=1, updating=2, soaking=3, completed=4))
    assert counts.to_json_value() == {
        "total": 10, "queued": 1, "updating": 5, "completed": 4, "failed": 0, "cancelled": 0,
        "skipped": 0,
    }  # fmt: skip


@pytest.mark.parametrize("payload", ["\ud800", {"\ud800": ["\udfff"]}, None, [1.5, {"a": None}]])
def test_any_payload_of_a_device_is_shown_as_it_is(payload: Any) -> None:
    body = MethodResponseSchema.of(MethodResponse(status=200, payload=payload))
    assert check(body) == {"status": 200, "payload": payload}
