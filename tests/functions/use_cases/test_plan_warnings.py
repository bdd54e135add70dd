"""Test when a plan warns, and of how many devices."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import HubUnavailableError
from functions.hub_gateway.port import ConditionError
from functions.rollouts.model import texts
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.strategy import OnConflict, Strategy
from functions.rollouts.rollout.joiners import expected_search
from functions.use_cases import plan_warnings
from functions.use_cases.planned_versions import PlannedVersions, find_versions
from functions.use_cases.target_devices import FoundDevices
from tests.functions.builders import NOON, make_wave
from tests.functions.use_cases.world import FIRMWARE, World, devices

FREEZE = Freeze(revision=1, reason="holidays", by="ada", since=NOON)


@pytest.fixture
def world() -> World:
    return World(devices(3), still=True)


@pytest.mark.parametrize(("count", "unknown"), [(1_000, None), (1_001, 2), (1_002, 2)])
def test_unknown_ids_are_counted_among_the_first_thousand_of_a_longer_list(
    count: int, unknown: int | None
) -> None:
    world = World(devices(998), still=True)
    ids = ("ghost", "spectre", *world.hub.devices, *(f"x-{n}" for n in range(count - 1_000)))
    warnings = plan_warnings.warn_of_unknown(world.hub, world.request(*ids))
    assert [item.count for item in warnings] == ([] if unknown is None else [unknown])
    for item in warnings:
        assert "Of the first 1,000 device ids, the hub does not know 2: ghost" in item.message
    assert plan_warnings.warn_of_unknown(world.hub, world.request(*["d-000"] * 1_001)) == []


@pytest.mark.parametrize(
    ("freeze", "total", "count"),
    [
        (None, None, None),
        (FREEZE, None, 3),
        (FREEZE, 7, 7),
        (replace(FREEZE, ended_at=NOON), 7, None),
        (replace(FREEZE, until=NOON), 7, None),
        (replace(FREEZE, until=NOON + timedelta(seconds=1)), 7, 7),
        (replace(FREEZE, condition="tags.site = 'rome'"), 7, 2),
    ],
)
def test_a_freeze_in_force_has_the_number_of_devices_that_it_keeps_from_starting(
    world: World, freeze: Freeze | None, total: int | None, count: int | None
) -> None:
    world.hub.matching = {"d-000", "d-002"}
    warnings = plan_warnings.warn_of_freeze(world.services, freeze, list(world.hub.devices), total)
    assert [(item.code, item.count) for item in warnings] == (
        [] if count is None else [("frozen", count)]
    )


@pytest.mark.parametrize("error", [ConditionError("bad"), HubUnavailableError("gone")])
def test_a_freeze_whose_condition_cannot_be_evaluated_has_no_devices(
    world: World, error: Exception
) -> None:
    hub: Any = world.hub
    freeze = replace(FREEZE, condition="nonsense")

    def fail(*_: Any) -> Any:
        raise error

    hub.find_matching = fail
    (warning,) = plan_warnings.warn_of_freeze(world.services, freeze, ["d-000"])
    assert warning.count == 0


def test_a_condition_of_a_freeze_is_not_evaluated_for_no_device(world: World) -> None:
    hub: Any = world.hub
    hub.find_matching = None
    freeze = replace(FREEZE, condition="tags.site = 'rome'")
    (warning,) = plan_warnings.warn_of_freeze(world.services, freeze, [])
    assert warning.count == 0


def test_a_conflict_is_a_warning_if_the_strategy_refuses_conflicts(world: World) -> None:
    refusing = world.request(strategy=Strategy(on_conflict=OnConflict.REFUSE))
    found = FoundDevices(devices=())
    assert plan_warnings.warn_of_refusal(world.services, refusing, found) == []
    earlier = world.create().rollout
    found = FoundDevices(devices=[*world.hub.query_devices(["d-001"], ())])
    (warning,) = plan_warnings.warn_of_refusal(world.services, refusing, found)
    assert (warning.code, warning.count) == ("conflict", 1)
    assert earlier.id in warning.message
    assert plan_warnings.warn_of_refusal(world.services, world.request(), found) == []


@pytest.mark.parametrize(
    ("total", "queries"), [(0, "1 query"), (100, "1 query"), (101, "2 queries")]
)
def test_a_search_for_joiners_takes_a_query_for_each_hundred_devices(
    world: World, total: int, queries: str
) -> None:
    waves = [make_wave(name=name) for name in ("canary", "more", "rest")]
    (warning,) = plan_warnings.warn_of_joiners(world.services, waves, total)
    assert warning.count == total
    assert f"takes {queries} of" in warning.message
    assert "join wave rest," in warning.message
    interval = expected_search(world.services.limits, 2 if total > 100 else 1)
    assert f"at most every {texts.duration(interval)}." in warning.message


@pytest.mark.parametrize(
    ("higher", "words"),
    [
        ({"3.0": 1}, "1 device runs a higher version than 2.4.0: 3.0 (1)."),
        ({f"3.{n}": 2 for n in range(5)}, "10 devices run a higher version than 2.4.0: 3.0 (2),"),
        ({f"3.{n}": 1 for n in range(6)}, "3.4 (1) and 1 other version."),
        ({f"3.{n}": 1 for n in range(7)}, "3.4 (1) and 2 other versions."),
    ],
)
def test_a_downgrade_names_five_versions(world: World, higher: dict[str, int], words: str) -> None:
    running = PlannedVersions(already_running=0, higher=higher)
    (warning,) = plan_warnings.warn_of_downgrades(world.request(), running)
    assert warning.count == running.downgrades == sum(higher.values())
    assert words in warning.message
    undoing = replace(world.request(), rollback_of="r")
    assert plan_warnings.warn_of_downgrades(undoing, running) == []
    none = PlannedVersions(already_running=3)
    assert plan_warnings.warn_of_downgrades(world.request(), none) == []


@pytest.mark.parametrize("condition", [None, "tags.site = 'rome'"])
def test_versions_are_counted_by_query_and_sorted_by_frequency(
    world: World, condition: str | None
) -> None:
    hub: Any = world.hub
    rows = [("2.4", 4), ("1.0", 3), ("3.0", 1), ("3.1", 2), (None, 9), ("1.0", 2), ("2.5", 1)]
    hub.count_versions_of = lambda _: rows if condition is None else []
    hub.count_versions_matching = lambda _: rows
    firmware = replace(FIRMWARE, reported_as=("2.4", "2.5"))
    request = replace(world.request(), firmware=firmware, condition=condition)
    found = find_versions(hub, request, FoundDevices(devices=()))
    assert found is not None
    assert list(found.running.items())[:2] == [("1.0", 5), ("2.4", 4)]
    assert (found.already_running, dict(found.higher)) == (5, {"3.1": 2, "3.0": 1})
    assert list(found.higher) == ["3.1", "3.0"]


@pytest.mark.parametrize(("count", "is_known"), [(1_000, True), (1_001, False)])
def test_versions_of_more_than_a_thousand_listed_devices_are_unknown(
    world: World, count: int, is_known: bool
) -> None:
    request = world.request(*[f"d-{number}" for number in range(count)])
    found = find_versions(world.hub, request, FoundDevices(devices=()))
    assert (found is not None) is is_known
    matching = replace(request, condition="tags.site = 'rome'")
    assert find_versions(world.hub, matching, FoundDevices(devices=())) is not None
