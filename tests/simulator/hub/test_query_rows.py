"""The rows of a query: projections, aggregates, groups, pages."""

import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.device import Status
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.query.tree import UNDEFINED
from simulator.hub.model.twins import read_twin_write
from tests.simulator.hub.builders import ManualClock, connect, make_device, make_hub, settings
from tests.simulator.hub.query_hubs import ids, kind, pages, rows, with_tags


class TestRows:
    def test_projections_have_aliases_and_leave_out_undefined_values(self) -> None:
        hub = with_tags(1, UNDEFINED)
        text = "SELECT DeviceId, tags.v AS value, tags.v + 1 FROM devices"
        assert rows(hub, text) == [{"deviceId": "d0", "value": 1, "$3": 2}, {"deviceId": "d1"}]

    def test_top_ends_the_rows(self) -> None:
        hub = with_tags(*range(5))
        assert len(rows(hub, "SELECT TOP 3 * FROM devices")) == 3
        sizes = [len(page) for page in pages(hub, "SELECT TOP 3 deviceId FROM devices", 2)]
        assert sizes == [2, 1]

    def test_aggregates_read_numbers_only(self) -> None:
        hub = with_tags(1, 2.5, True, "9", UNDEFINED)
        text = (
            "SELECT COUNT() AS n, AVG(tags.v) AS a, SUM(tags.v) AS s, "
            "MIN(tags.v) AS lo, MAX(tags.v) AS hi, AVG(tags.w) AS none FROM devices"
        )
        assert rows(hub, text) == [{"n": 5, "a": 1.75, "s": 3.5, "lo": 1, "hi": 2.5}]

    def test_an_aggregate_over_no_device_is_one_row(self) -> None:
        assert rows(make_hub(), "SELECT COUNT() AS n FROM devices") == [{"n": 0}]
        grouped = "SELECT tags.v AS v, COUNT() AS n FROM devices GROUP BY tags.v"
        assert rows(make_hub(), grouped) == []

    def test_groups_tell_values_of_different_types_apart(self) -> None:
        hub = with_tags(1, True, "1", 1, UNDEFINED, {"a": 1})
        text = "SELECT tags.v AS v, COUNT() AS n FROM devices GROUP BY tags.v"
        assert rows(hub, text) == [
            {"v": 1, "n": 2},
            {"v": True, "n": 1},
            {"v": "1", "n": 1},
            {"n": 1},
            {"v": {"a": 1}, "n": 1},
        ]


NUMBERS = st.integers(-5, 5) | st.floats(-5, 5).map(lambda number: round(number, 2))


TAGS = st.lists(NUMBERS | st.sampled_from(["a", "b", True, False, UNDEFINED]), max_size=12)


@given(TAGS)
def test_aggregates_and_groups_equal_a_simple_count(values: list[Any]) -> None:
    hub = with_tags(*values)
    expected: dict[tuple[str, Any], list[Any]] = {}
    for value in values:
        expected.setdefault((kind(value), value), []).append(value)
    select = "SELECT tags.v AS v, COUNT() AS n, SUM(tags.v) AS s FROM devices GROUP BY tags.v"
    found = rows(hub, select)
    assert [row["n"] for row in found] == [len(group) for group in expected.values()]
    for row, ((name, value), group) in zip(found, expected.items(), strict=True):
        assert row.get("v", UNDEFINED) == value
        assert row.get("s") == (pytest.approx(sum(group)) if name == "number" else None)
    numbers = [value for value in values if kind(value) == "number"]
    [total] = rows(hub, "SELECT COUNT() AS n, MIN(tags.v) AS lo, MAX(tags.v) AS hi FROM devices")
    assert total.get("lo") == min(numbers, default=None)
    assert (total["n"], total.get("hi")) == (len(values), max(numbers, default=None))


@given(TAGS, st.integers(1, 15), st.integers(1, 5))
def test_top_and_pages_are_slices_of_the_whole(values: list[Any], top: int, size: int) -> None:
    hub = with_tags(*values)
    query = f"SELECT TOP {top} deviceId FROM devices"  # noqa: S608  is what is tested
    found = list(pages(hub, query, size))
    assert [row for page in found for row in page] == [
        {"deviceId": f"d{number}"} for number in range(min(top, len(values)))
    ]
    assert all(len(page) == size for page in found[:-1])


class TestPages:
    ALL = "SELECT * FROM devices"

    def test_a_page_has_at_most_100_rows_and_the_last_has_no_continuation(self) -> None:
        hub = with_tags(*range(200))
        assert [len(page) for page in pages(hub, self.ALL, 1000)] == [100, 100]
        assert [len(page) for page in pages(hub, self.ALL, 80)] == [80, 80, 40]

    def test_devices_that_come_and_go_between_pages_move_no_other(self) -> None:
        hub = with_tags(*range(6))
        seen = []
        for page in pages(hub, self.ALL, 2):
            seen += [row["deviceId"] for row in page]
            if len(seen) == 2:
                hub.registry.delete("d0", "*")
                hub.registry.delete("d3", "*")
                make_device(hub, "d0")
        assert seen == ["d0", "d1", "d2", "d4", "d5", "d0"]

    def test_a_continuation_belongs_to_one_query_and_page_size(self) -> None:
        hub = with_tags(*range(6))
        continuation = hub.queries.run(self.ALL, 2, None).continuation
        for text, size in ((self.ALL, 3), (self.ALL, None), (self.ALL + " ", 2)):
            with pytest.raises(HubError):
                hub.queries.run(text, size, continuation)
        for broken in ("x", "e30=", "WzEsMiwzXQ==", "é"):
            with pytest.raises(HubError):
                hub.queries.run(self.ALL, 2, broken)

    def test_a_forged_continuation_beyond_the_top_is_refused(self) -> None:
        hub = with_tags(1, 2, 3)
        text = "SELECT TOP 2 * FROM devices"
        binding = json.loads(base64.urlsafe_b64decode(self.continuation(hub, text)))[0]
        forged = base64.urlsafe_b64encode(json.dumps([binding, 0, 3]).encode()).decode()
        with pytest.raises(HubError) as caught:
            hub.queries.run(text, 1, forged)
        assert caught.value.code is ErrorCode.ARGUMENT_INVALID

    @staticmethod
    def continuation(hub: Hub, text: str) -> str:
        """Return the continuation of the first page, which has one row."""
        token = hub.queries.run(text, 1, None).continuation
        assert token is not None
        return token

    def test_a_lagging_query_sees_a_device_go_offline_when_it_is_disabled(self) -> None:
        clock = ManualClock()
        hub = make_hub(clock=clock, query_lag_seconds=5)
        make_device(hub)
        connect(hub)
        hub.registry.update(replace(settings("one"), status=Status.DISABLED), "*")
        clock.advance(5)
        query = "SELECT status, connectionState FROM devices"
        row = {"status": "disabled", "connectionState": "Disconnected"}
        assert hub.queries.run(query, None, None).rows == [row]

    def test_queries_may_lag_behind_writes(self) -> None:
        clock = ManualClock()
        hub = make_hub(clock=clock, query_lag_seconds=5)
        make_device(hub, "d0")
        assert rows(hub, self.ALL) == []
        clock.advance(5)
        hub.twins.patch("d0", read_twin_write({"tags": {"v": 1}}), None)
        assert ids(hub, "NOT IS_DEFINED(tags.v)") == [0]
        hub.registry.delete("d0", "*")
        clock.advance(5)
        assert rows(hub, self.ALL) == []


def test_many_twins_are_searched_in_a_fraction_of_a_second() -> None:
    hub = make_hub()
    for number in range(10_000):
        make_device(hub, f"d{number}")
    started = time.perf_counter()
    assert rows(hub, "SELECT COUNT() AS n FROM devices WHERE tags.a.b = 1 OR status = 'x'") == [
        {"n": 0}
    ]
    assert time.perf_counter() - started < 0.5
