"""The conditions of the query language, compared with a simple evaluator and with examples."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.errors import ErrorCode, QueryError
from simulator.hub.model.hub import Hub
from simulator.hub.model.query.syntax import parse
from simulator.hub.model.query.tree import UNDEFINED, Comparison, Literal, PathTo
from simulator.hub.model.twins import read_twin_write
from tests.simulator.hub.builders import ManualClock, make_device, make_hub, settings
from tests.simulator.hub.query_hubs import ids, kind, pages, rows, with_tags

VALUES: list[Any] = [None, True, False, 0, 1, -2, 1.5, "", "a", "b", {"x": 1}, [1], UNDEFINED]


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
