"""Automatic configurations: targets, priorities and removal."""

from dataclasses import replace

import pytest

from simulator.hub.model.configuration import as_patch, combine_patches
from simulator.hub.model.connections import Subscription
from simulator.hub.model.device import identity_etag
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.twins import read_twin_write
from simulator.hub.rest.configurations import configuration_settings
from tests.simulator.hub.builders import (
    ManualClock,
    MemoryTable,
    connect,
    make_device,
    make_hub,
    settings,
)

RUN = 300


def fleet(clock: ManualClock, table: MemoryTable | None = None) -> Hub:
    """Create two devices: `a` in Berlin, `b` in Bonn."""
    hub = make_hub(clock=clock, table=table)
    for device_id, site in (("a", "berlin"), ("b", "bonn")):
        make_device(hub, device_id)
        write(hub, device_id, {"tags": {"site": site}})
    return hub


def write(hub: Hub, key: str, body: Document) -> None:
    hub.twins.patch(key, read_twin_write(body), None)


def configure(hub: Hub, name: str = "one", **fields: Json) -> None:
    """Create a configuration, for devices in Berlin by default."""
    body: Document = {
        "content": {"deviceContent": {"properties.desired.chiller": {"temperature": 38}}},
        "targetCondition": "tags.site = 'berlin'",
        "priority": 5,
    }
    hub.configurations.create(configuration_settings(body | fields, name))


def content(**values: Json) -> Document:
    return {"deviceContent": {f"properties.desired.{name}": v for name, v in values.items()}}


def desired(hub: Hub, key: str) -> Document:
    return hub.twins.get(key).twin.desired.properties


def shown(hub: Hub, key: str) -> Json:
    return hub.twins.get(key).twin.configurations


def refused(hub: Hub, **fields: Json) -> ErrorCode:
    with pytest.raises(HubError) as caught:
        configure(hub, **fields)  # type: ignore[arg-type]
    return caught.value.code


class TestReach:
    def test_the_targeted_twins_get_the_content_and_their_devices_are_notified(self) -> None:
        hub = fleet(clock := ManualClock())
        link = connect(hub, "a", Subscription.DESIRED_CHANGES)
        configure(hub)
        clock.advance(1)
        assert desired(hub, "a") == {"chiller": {"temperature": 38}}
        assert desired(hub, "b") == {}
        assert link.desired == [({"chiller": {"temperature": 38}}, 2)]
        assert shown(hub, "a") == {"one": {"status": "Applied"}}
        query = "SELECT deviceId FROM devices WHERE configurations.[[one]].status = 'Applied'"
        assert hub.queries.run(query, None, None).rows == [{"deviceId": "a"}]

    def test_a_later_device_is_written_by_a_later_run_and_no_device_twice(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub)
        clock.advance(1)
        write(hub, "b", {"tags": {"site": "berlin"}})
        clock.advance(RUN - 1)
        assert desired(hub, "b") == {}
        clock.advance(1)
        assert desired(hub, "b") == {"chiller": {"temperature": 38}}
        assert hub.twins.get("a").twin.desired.version == 2

    def test_a_star_targets_all_devices_and_an_empty_condition_none(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub, "all", targetCondition="*", content=content(x=1))
        configure(hub, "none", targetCondition="", content=content(y=1), priority=9)
        clock.advance(1)
        assert [desired(hub, key) for key in "ab"] == [{"x": 1}, {"x": 1}]

    def test_modules_are_reached_by_a_condition_of_their_own(self) -> None:
        hub = fleet(clock := ManualClock())
        for module_id in ("camera", "motor"):
            hub.registry.create(replace(settings("a"), module_id=module_id))
        configure(
            hub,
            content={"moduleContent": {"properties.desired.fps": 5}},
            targetCondition="FROM devices.modules WHERE moduleId = 'camera'",
        )
        clock.advance(1)
        assert desired(hub, "a/camera") == {"fps": 5}
        assert desired(hub, "a/motor") == desired(hub, "a") == {}

    def test_a_value_changed_by_hand_is_restored(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub)
        clock.advance(1)
        write(hub, "a", {"properties": {"desired": {"chiller": {"temperature": 1, "own": 2}}}})
        clock.advance(RUN)
        assert desired(hub, "a") == {"chiller": {"temperature": 38, "own": 2}}

    def test_without_configurations_nothing_runs(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub)
        clock.advance(1)
        hub.configurations.delete("one", None)
        clock.advance(1)
        clock.advance(RUN)
        assert [timer for timer in clock.timers if not timer.cancelled] == []


class TestPriority:
    def test_the_highest_is_applied_and_the_others_only_target(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub, "low", content=content(x=1, y=1), priority=1)
        configure(hub, "high", content=content(x=2), priority=2)
        clock.advance(1)
        assert desired(hub, "a") == {"x": 2}
        assert shown(hub, "a") == {"low": {"status": "Targeted"}, "high": {"status": "Applied"}}

    def test_among_equals_the_later_wins(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub, "earlier", content=content(x=1))
        clock.advance(1)
        configure(hub, "later", content=content(x=2))
        clock.advance(1)
        assert desired(hub, "a") == {"x": 2}

    def test_after_the_highest_priority_is_deleted_the_next_one_is_applied(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub, "low", content=content(x={"p": 1}), priority=1)
        configure(hub, "high", content=content(x={"p": 2, "q": 2}, y=2), priority=2)
        clock.advance(1)
        hub.configurations.delete("high", "*")
        clock.advance(1)
        assert desired(hub, "a") == {"x": {"p": 1}}
        assert shown(hub, "a") == {"low": {"status": "Applied"}}


class TestRemoval:
    def test_deleting_removes_what_was_written_and_nothing_else(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub, content=content(chiller={"temperature": 38}, fan={"speed": 1}))
        clock.advance(1)
        write(hub, "a", {"properties": {"desired": {"fan": {"own": 1}, "other": 2}}})
        hub.configurations.delete("one", None)
        clock.advance(1)
        assert desired(hub, "a") == {"fan": {"own": 1}, "other": 2}
        assert shown(hub, "a") == {}

    def test_leaving_the_scope_removes_what_was_written(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub)
        clock.advance(1)
        write(hub, "a", {"tags": {"site": "bonn"}})
        clock.advance(RUN)
        assert desired(hub, "a") == {}


class TestMetrics:
    def test_metrics_are_counted_with_every_run(self) -> None:
        hub = fleet(clock := ManualClock())
        current = "SELECT deviceId FROM devices WHERE properties.reported.chiller = 'current'"
        configure(hub, metrics={"queries": {"current": current}}, targetCondition="*")
        clock.advance(1)
        assert results(hub) == ({"current": 0}, {"targetedCount": 2, "appliedCount": 2})
        hub.twins.report("a", {"chiller": "current"})
        clock.advance(RUN)
        assert results(hub) == ({"current": 1}, {"targetedCount": 2, "appliedCount": 2})

    def test_a_twin_that_would_grow_too_large_is_targeted_only(self) -> None:
        hub = fleet(clock := ManualClock())
        big: Document = {f"k{number}": "x" * 4000 for number in range(5)}
        write(hub, "a", {"properties": {"desired": big}})
        configure(hub, content=content(**{f"n{n}": "y" * 4000 for n in range(5)}))
        clock.advance(1)
        assert results(hub)[1] == {"targetedCount": 1, "appliedCount": 0}
        assert desired(hub, "a") == big


def results(hub: Hub) -> tuple[Json, Json]:
    document = hub.configurations.document(hub.configurations.get("one"))
    return (
        document["metrics"]["results"],  # type: ignore[index, call-overload]
        document["systemMetrics"]["results"],  # type: ignore[index, call-overload]
    )


class TestRules:
    def test_condition_priority_labels_and_metrics_change_and_content_does_not(self) -> None:
        hub = fleet(clock := ManualClock())
        configure(hub)
        etag = identity_etag(hub.configurations.get("one").etag)
        body: Document = {"targetCondition": "*", "priority": 7, "labels": {"a": "b"}}
        updated = hub.configurations.update(configuration_settings(body, "one"), etag)
        assert (updated.settings.priority, updated.settings.labels) == (7, {"a": "b"})
        for other, wrong, code in (
            (
                body | {"content": content(x=1)},
                "*",
                "CANNOT_MODIFY_IMMUTABLE_CONFIGURATION_CONTENT",
            ),
            (body, etag, "PRECONDITION_FAILED"),
        ):
            with pytest.raises(HubError) as caught:
                hub.configurations.update(configuration_settings(other, "one"), wrong)
            assert caught.value.code.name == code
        clock.advance(1)
        assert desired(hub, "b") == {"chiller": {"temperature": 38}}

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"name": "Upper"}, "ARGUMENT_INVALID"),
            ({"name": "a b"}, "ARGUMENT_INVALID"),
            ({"priority": -1}, "ARGUMENT_INVALID"),
            ({"priority": "1"}, "ARGUMENT_INVALID"),
            ({"targetCondition": "tags.a ="}, "INVALID_CONFIGURATION_TARGET_CONDITION"),
            ({"content": {"deviceContent": {"tags.a": 1}}}, "INVALID_CONFIGURATION_CONTENT"),
            (
                {"content": {"deviceContent": {"properties.desired": 1}}},
                "INVALID_CONFIGURATION_CONTENT",
            ),
            (
                {"content": {"deviceContent": {"properties.desired.": 1}}},
                "INVALID_CONFIGURATION_CONTENT",
            ),
            (
                {"content": {"deviceContent": {"properties.desiredx": 1}}},
                "INVALID_CONFIGURATION_CONTENT",
            ),
            ({"content": {"deviceContent": {"properties.desired.a b": 1}}}, "ARGUMENT_INVALID"),
            (
                {"content": {"moduleContent": {"properties.desired.a": 1}}},
                "INVALID_CONFIGURATION_TARGET_CONDITION",
            ),
            (
                {"metrics": {"queries": {"m": "SELECT"}}},
                "INVALID_CONFIGURATION_CUSTOM_METRICS_QUERY",
            ),
            (
                {"metrics": {"queries": {str(n): "SELECT * FROM devices" for n in range(6)}}},
                "ARGUMENT_INVALID",
            ),
            ({"content": {"modulesContent": {"$edgeAgent": {}}}}, "NOT_EMULATED"),
        ],
    )
    def test_invalid_settings_are_refused(self, fields: Document, code: str) -> None:
        assert refused(make_hub(), **fields).name == code

    def test_a_configuration_id_is_unique_and_a_hundred_are_the_maximum(self) -> None:
        hub = make_hub()
        for number in range(100):
            configure(hub, f"c{number}")
        assert refused(hub, name="c1") is ErrorCode.CONFIGURATION_ALREADY_EXISTS
        assert refused(hub, name="more") is ErrorCode.CONFIGURATION_COUNT_LIMIT_EXCEEDED


def test_paths_become_one_patch() -> None:
    paths: Document = {
        "properties.desired.a.b": 1,
        "properties.desired.a.c": {"d": None},
        "properties.desired": {"e": 2},
    }
    assert as_patch(paths) == {"a": {"b": 1, "c": {"d": None}}, "e": 2}
    assert combine_patches({"a": None, "b": {"c": None}}, {"a": 1, "b": {"d": 1}}) == {
        "a": 1,
        "b": {"c": None, "d": 1},
    }


def test_a_restart_keeps_configurations_and_completes_a_deletion() -> None:
    hub = fleet(clock := ManualClock(), table := MemoryTable())
    configure(hub, "gone", priority=9)
    configure(hub, "stays", content=content(x=1))
    clock.advance(1)
    hub.configurations.delete("gone", None)
    again = make_hub(clock=(later := ManualClock()))
    again.persistence.restore(table.in_order())
    assert [again.twins.get(key) for key in "ab"] == [hub.twins.get(key) for key in "ab"]
    assert list(again.configurations.all) == ["stays"]
    assert desired(again, "a") == {"chiller": {"temperature": 38}}
    later.advance(1)
    assert desired(again, "a") == {"x": 1}
    assert shown(again, "a") == {"stays": {"status": "Applied"}}


def test_a_hub_that_has_ended_runs_no_configurations() -> None:
    hub = fleet(clock := ManualClock())
    configure(hub)
    hub.configurations.stop()
    clock.advance(RUN)
    assert desired(hub, "a") == {}


def test_a_full_disk_does_not_end_a_run() -> None:
    hub = fleet(clock := ManualClock(), table := MemoryTable())
    configure(hub)
    table.is_full = True
    clock.advance(RUN)
    assert desired(hub, "a") == {}
    table.is_full = False
    clock.advance(RUN)
    assert desired(hub, "a") != {}
