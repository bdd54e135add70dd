"""The query language, compared with a simple evaluator and with examples."""

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.device import Status
from simulator.hub.model.errors import ErrorCode, HubError, QueryError
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document
from simulator.hub.model.query.syntax import parse
from simulator.hub.model.query.tree import UNDEFINED, Comparison, Literal, PathTo
from simulator.hub.model.twins import read_twin_write
from tests.simulator.hub.builders import ManualClock, connect, make_device, make_hub, settings

VALUES: list[Any] = [None, True, False, 0, 1, -2, 1.5, "", "a", "b", {"x": 1}, [1], UNDEFINED]


def with_tags(*values: Any) -> Hub:
    """Create one device per value, named by its number, with the value as tag `v`."""
    hub = make_hub()
    for number, value in enumerate(values):
        make_device(hub, f"d{number}")
        if value is not UNDEFINED and value is not None:
            hub.twins.patch(f"d{number}", read_twin_write({"tags": {"v": value}}), None)
    return hub


def rows(hub: Hub, text: str) -> list[Document]:
    """Return the rows of all pages of a query."""
    return [row for page in pages(hub, text) for row in page]


def pages(hub: Hub, text: str, size: int | None = None) -> Iterator[list[Document]]:
    continuation = None
    while True:
        page = hub.queries.run(text, size, continuation)
        yield page.rows
        continuation = page.continuation
        if continuation is None:
            return


def ids(hub: Hub, condition: str) -> list[int]:
    """Return the numbers of the devices that meet a condition."""
    query = f"SELECT deviceId FROM devices WHERE {condition}"  # noqa: S608  is what is tested
    found = rows(hub, query)
    return [int(str(row["deviceId"])[1:]) for row in found]


LITERALS = st.sampled_from(["1", "1.0", "-2", "'a'", '"b"', "true", "null", "undefined", "0x1"])
CONDITIONS = st.recursive(
    st.builds("tags.v {} {}".format, st.sampled_from(["=", "!=", "<>", "<", ">="]), LITERALS)
    | st.builds("tags.v {} [{}]".format, st.sampled_from(["IN", "NIN"]), LITERALS)
    | st.sampled_from(["IS_DEFINED(tags.v)", "tags.v", "tags.v + 1 > 1", "tags.v % 2 = 1"]),
    lambda inner: (
        st.builds("({} AND {})".format, inner, inner)
        | st.builds("({} OR {})".format, inner, inner)
        | st.builds("NOT {}".format, inner)
    ),
    max_leaves=6,
)


def naive(text: str, value: Any) -> Any:
    """Evaluate a condition to True, False or UNDEFINED by splitting its text."""
    if text.startswith("NOT "):
        inner = naive(text[4:], value)
        return UNDEFINED if not isinstance(inner, bool) else not inner
    if text.startswith("("):
        left, word, right = split(text[1:-1])
        return naive_junction(word, naive(left, value), naive(right, value))
    if text == "IS_DEFINED(tags.v)":
        return value is not UNDEFINED
    if text == "tags.v":
        return value
    _path, sign, *rest = text.split()
    if sign in "+%":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return UNDEFINED if not number else (value > 0 if sign == "+" else value % 2 == 1)
    return naive_comparison(sign, value, literal(rest[0]))


def split(text: str) -> tuple[str, str, str]:
    """Split at the AND or OR outside all parentheses."""
    depth = 0
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        for word in ("AND", "OR"):
            if depth == 0 and text.startswith(f" {word} ", index):
                return text[:index], word, text[index + len(word) + 2 :]
    raise AssertionError(text)


def literal(text: str) -> Any:
    text = text.strip("[]")
    words = {"true": True, "null": None, "undefined": UNDEFINED, "0x1": 1}
    if text in words:
        return words[text]
    return text.strip("'\"") if text[0] in "'\"" else float(text)


def naive_junction(word: str, left: Any, right: Any) -> Any:
    decisive = word == "OR"
    if left is decisive or right is decisive:
        return decisive
    return not decisive if left is right is (not decisive) else UNDEFINED


def naive_comparison(sign: str, value: Any, other: Any) -> Any:
    if value is UNDEFINED or isinstance(value, dict | list):
        return UNDEFINED
    if other is UNDEFINED and sign not in ("IN", "NIN"):
        return UNDEFINED
    same = kind(value) == kind(other) and value == other
    if sign in ("=", "IN"):
        return same
    if sign in ("!=", "<>", "NIN"):
        return not same
    if kind(value) != kind(other) or value is None:
        return UNDEFINED
    return value < other if sign == "<" else value >= other


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


@given(CONDITIONS)
def test_conditions_select_what_a_simple_evaluator_selects(condition: str) -> None:
    values = [value for value in VALUES if value is not None]
    expected = [n for n, value in enumerate(values) if naive(condition, value) is True]
    assert ids(HUB_OF_VALUES, condition) == expected


HUB_OF_VALUES = with_tags(*[value for value in VALUES if value is not None])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("tags.v = 'a'", [1]),
        ("tags.v != 'a'", [0, 2]),
        ("NOT tags.v = 'a'", [0, 2]),
        ("NOT IS_DEFINED(tags.v)", [3]),
        ("is_defined(tags.v) and tags.v in ['a', 5]", [0, 1]),
        ("tags.v NIN ['a', 'b']", [0]),
        ("deviceId IN ['d3', 'd0']", [0, 3]),
        ('DeviceId = "d1"', [1]),
        ("tags.v >= 5 OR tags.v > 'a'", [0, 2]),
        ("1 + 2 * 3 = 7 AND (1 + 2) * 3 = 9 AND 7 % 4 - -1 = 4", [0, 1, 2, 3]),
        ("1 / 0 = 1 OR NOT 1 / 0 = 1", []),
        ("tags.v", []),
        ("connectionState = 'Disconnected' AND status = 'enabled'", [0, 1, 2, 3]),
        ("authenticationType = 'sas' AND capabilities.iotEdge = false", [0, 1, 2, 3]),
        ("cloudToDeviceMessageCount = 0 AND x509Thumbprint.primaryThumbprint = null", [0, 1, 2, 3]),
        ("properties.desired.$version = 1", [0, 1, 2, 3]),
        ("tags.[[v]] = 'b' AND [[tags]].v = 'b'", [2]),
        ("tags.and.or = 1 OR tags.v = 'b'", [2]),
        (r"tags.v = '\u0061' OR tags.v = '\b'", [1, 2]),
    ],
)
def test_conditions_by_example(condition: str, expected: list[int]) -> None:
    assert ids(with_tags(5, "a", "b", UNDEFINED), condition) == expected


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("SELECT", 7),
        ("SELECT * FROM", 14),
        ("SELECT * FROM devices WHERE", 28),
        ("SELECT * FROM devices WHERE a = = 1", 33),
        ("SELECT * FROM devices WHERE a = 'x", 33),
        ("SELECT * FROM devices ORDER BY a", 23),
        ("SELECT DISTINCT a FROM devices", 17),
        ("SELECT * FROM devices WHERE a IN ('x')", 34),
        ("SELECT * FROM devices WHERE STARTS_WITH(a)", 29),
        ("SELECT * FROM devices WHERE STARTS_WITH(a, 'b')", 29),
        ("SELECT * FROM devices WHERE IS_DEFINED(a, b)", 29),
        ("SELECT * FROM devices WHERE IS_DEFINED(a,)", 42),
        ("SELECT * FROM devices WHERE a = 1e999", 33),
        ("SELECT COUNT(a) FROM devices", 8),
        ("SELECT * FROM devices; DROP", 22),
        ("SELECT * FROM somewhere", 15),
        ("SELECT tags.v, COUNT() FROM devices.modules GROUP BY tags.v", 29),
    ],
)
def test_an_invalid_query_is_refused_with_its_position(text: str, position: int) -> None:
    with pytest.raises(QueryError) as caught:
        make_hub().queries.run(text, None, None)
    assert caught.value.position == position
    assert caught.value.code is ErrorCode.ARGUMENT_INVALID


@pytest.mark.parametrize(
    "text",
    [
        "SELECT deviceId FROM devices.jobs",
        "SELECT COUNT() FROM devices.jobs",
        "SELECT * FROM devices.jobs GROUP BY status",
        "SELECT deviceId, COUNT() FROM devices",
        "SELECT * FROM devices GROUP BY tags.a",
        "SELECT * FROM devices WHERE COUNT() > 1",
        "SELECT * FROM devices WHERE IS_DEFINED(1)",
        "SELECT * FROM devices WHERE a = 1" + " OR a = 1" * 1000,
        "SELECT * FROM devices WHERE " + "NOT " * 1000 + "a",
        "SELECT * FROM devices WHERE a = " + "- " * 1000 + "a",
    ],
)
def test_a_query_that_is_not_allowed_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        make_hub().queries.run(text, None, None)


WORDS = ["SELECT", "*", "FROM", "WHERE", "AND", "NOT", "(", ")", "[", "]", "'", "a", ".", "=", "1"]


@given(
    st.text()
    | st.lists(st.sampled_from(WORDS)).map(" ".join)
    | st.lists(st.sampled_from(WORDS)).map(" ".join).map("SELECT * FROM devices WHERE ".__add__)
)
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(QueryError):
        parse(text)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM devices",
        "SELECT LastActivityTime FROM devices WHERE status = 'enabled'",
        (
            "SELECT * FROM devices WHERE tags.location.region = 'US' "
            "AND properties.reported.telemetryConfig.sendFrequencyInSecs >= 60"
        ),
        "SELECT * FROM devices WHERE is_defined(properties.reported.connectivity)",
        "SELECT * FROM devices WHERE properties.reported.connectivity IN ['wired', 'wifi']",
        "SELECT * FROM devices WHERE capabilities.iotEdge = true",
        (
            "SELECT properties.reported.telemetryConfig.status AS status, "
            "COUNT() AS numberOfDevices FROM devices "
            "GROUP BY properties.reported.telemetryConfig.status"
        ),
        "SELECT COUNT() as totalNumberOfDevices FROM devices",
        "SELECT TOP 10 deviceId FROM devices",
        "Select * from devices.modules where properties.reported.status = 'scanning'",
        (
            "Select * from devices.modules where properties.reported.status = 'scanning' "
            "and deviceId IN ['device1', 'device2']"
        ),
        "SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'myDeviceId'",
        (
            "SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'myDeviceId' "
            "AND devices.jobs.jobType = 'scheduleUpdateTwin' AND devices.jobs.status = 'completed' "
            "AND devices.jobs.createdTimeUtc > '2016-09-01'"
        ),
        "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'myJobId'",
        "select deviceId from devices where configurations.[[my-id]].status='Applied'",
    ],
)
def test_documented_queries_are_accepted(query: str) -> None:
    assert make_hub().queries.run(query, None, None).continuation is None


class TestModules:
    def test_a_query_is_over_devices_or_over_modules(self) -> None:
        hub = with_tags(1, 2)
        for name, tag in (("camera", 1), ("motor", 2)):
            hub.registry.create(replace(settings("d0"), module_id=name))
            hub.twins.patch(f"d0/{name}", read_twin_write({"tags": {"v": tag}}), None)
        everything = rows(hub, "SELECT * FROM devices.modules")
        chosen = rows(hub, "SELECT deviceId, moduleId FROM devices.modules WHERE tags.v > 1")
        counted = rows(hub, "SELECT COUNT() AS n, MAX(tags.v) AS v FROM devices.modules")
        assert [row["moduleId"] for row in everything] == ["camera", "motor"]
        assert chosen == [{"deviceId": "d0", "moduleId": "motor"}]
        assert counted == [{"n": 2, "v": 2}]
        assert rows(hub, "SELECT moduleId FROM devices WHERE IS_DEFINED(moduleId)") == []
        assert [len(page) for page in pages(hub, "SELECT * FROM devices.modules", 1)] == [1, 1]

    def test_queries_lag_behind_modules_as_behind_devices(self) -> None:
        clock = ManualClock()
        hub = make_hub(clock=clock, query_lag_seconds=5)
        make_device(hub, "d0")
        hub.registry.create(replace(settings("d0"), module_id="camera"))
        query = "SELECT * FROM devices.modules"
        assert rows(hub, query) == []
        clock.advance(5)
        assert len(rows(hub, query)) == 1
        hub.registry.delete("d0", "*")
        clock.advance(5)
        assert rows(hub, query) == []


def test_quotes_and_backslashes_are_escaped_with_a_backslash() -> None:
    query = parse(r"""SELECT * FROM devices WHERE a = 'it\'s \\ \"x\"' """)
    assert query.condition == Comparison("=", PathTo(("a",)), Literal(r"""it's \ "x" """.strip()))


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


@given(CONDITIONS)
def test_modules_are_selected_by_the_same_rules(condition: str) -> None:
    of_modules = f"SELECT moduleId FROM devices.modules WHERE {condition}"  # noqa: S608  tested
    assert [int(str(row["moduleId"])[1:]) for row in rows(HUB_OF_MODULES, of_modules)] == ids(
        HUB_OF_VALUES, condition
    )


def modules_with_tags(*values: Any) -> Hub:
    """Create one device with a module per value, named by its number, with the value as tag `v`."""
    hub = make_hub()
    make_device(hub, "d")
    for number, value in enumerate(values):
        hub.registry.create(replace(settings("d"), module_id=f"m{number}"))
        if value is not UNDEFINED:
            hub.twins.patch(f"d/m{number}", read_twin_write({"tags": {"v": value}}), None)
    return hub


HUB_OF_MODULES = modules_with_tags(*[value for value in VALUES if value is not None])


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
