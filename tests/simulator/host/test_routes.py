"""Route templates: examples at the boundaries, and a property against a naive matcher."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.host.routes import Route, RouteTable, compile_template


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("api/x", "/api/x", {}),
        ("api/x", "/API/X", {}),
        ("api/x", "/api/x/", {}),
        ("/api/x/", "/api/x", {}),
        ("api/x", "/api/x//", None),
        ("api/x", "/api//x", None),
        ("api/x", "/api/xy", None),
        ("api/a.b", "/api/aXb", None),
        ("api/{id}", "/api/Ab%2Fc", {"id": "Ab%2Fc"}),
        ("api/{id}", "/api/", None),
        ("api/{id}", "/api/a/b", None),
        ("api/{id?}", "/api", {}),
        ("api/{id?}", "/api/", {}),
        ("api/{id?}", "/api/1", {"id": "1"}),
        ("api/{id?}", "/api/1/2", None),
        ("{*rest}", "/", {}),
        ("api/{*rest}", "/api", {}),
        ("api/{*rest}", "/api/a/b/", {"rest": "a/b/"}),
        ("api/{**rest}", "/api/a", {"rest": "a"}),
        ("api/{*rest}", "/apis", None),
        ("v{major}.{minor}", "/v1.2", {"major": "1", "minor": "2"}),
        ("v{major}.{minor}", "/v1", None),
        ("{a}-{b}", "/1-2-3", {"a": "1-2", "b": "3"}),
        ("x/{file}.json", "/x/a.JSON", {"file": "a"}),
        ("{year:int}/{slug:regex(^[a-z]{{2,}}/?$)}", "/2026/ab", {"year": "2026", "slug": "ab"}),
        ("{id:int?}", "/", {}),
        ("{id:int?}", "/x", None),
        ("", "/", {}),
    ],
)
def test_a_template_matches_as_in_asp_net_core(
    template: str, path: str, values: dict[str, str] | None
) -> None:
    assert compile_template(template).match(path) == values


@pytest.mark.parametrize(
    ("constraint", "accepted", "refused"),
    [
        ("int", ["0", "-1", "+7", "2147483647"], ["2147483648", "1.5", "x", "٣"]),
        ("long", ["2147483648", "-9223372036854775808"], ["9223372036854775808"]),
        ("bool", ["true", "FALSE"], ["1", "yes"]),
        ("guid", ["11111111-2222-3333-4444-555555555555", "{11111111222233334444555555555555}"],
         ["11111111-2222"]),
        ("alpha", ["abc", "ABC"], ["a1", "ä"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(5)", ["5", "6"], ["4", "x"]),
        ("max(5)", ["5", "-6"], ["6", "x"]),
        ("range(1,3)", ["1", "3"], ["0", "4"]),
        ("regex(^\\d+$)", ["12"], ["1x"]),
        ("regex(B)", ["abc"], ["ac"]),
        ("decimal", ["1", "-1.5", ".5", "1,000.5"], ["x", "."]),
        ("double", ["1e5"], ["e"]),
        ("datetime", ["2026-11-23", "2026-11-23T05:00:00"], ["soon", "2026-13-01"]),
        ("int:min(1)", ["1"], ["0", "x"]),
    ],
)  # fmt: skip
def test_a_constraint_accepts_and_refuses(
    constraint: str, accepted: Sequence[str], refused: Sequence[str]
) -> None:
    template = compile_template(f"x/{{id:{constraint}}}")
    assert [value for value in accepted if template.match(f"/x/{value}") is None] == []
    assert [value for value in refused if template.match(f"/x/{value}") is not None] == []


@pytest.mark.parametrize(
    "template",
    [
        "{a}/{A}",
        "{a?}/b",
        "{*a}/b",
        "{a}{b}",
        "{a",
        "a}",
        "{}",
        "{a:nonsense}",
        "{a:length(x)}",
        "{a:regex([)}",
        "{a:int(}",
        "{a=1}",
        "a//b",
        "x{*a}",
        "x{a?}",
    ],
)
def test_a_malformed_template_is_refused_with_its_text(template: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(template.strip("/")))):
        compile_template(template)


def test_the_first_registered_route_wins() -> None:
    table = RouteTable(
        [
            Route(compile_template("x/{id:int}"), None, "number"),
            Route(compile_template("x/{id}"), None, "text"),
            Route(compile_template("x/fixed"), None, "never"),
        ]
    )
    assert table.find("GET", "/x/1") == ("number", {"id": "1"})
    assert table.find("GET", "/x/fixed") == ("text", {"id": "fixed"})
    assert table.find("GET", "/y") is None


def test_a_verb_that_is_not_listed_does_not_match() -> None:
    table = RouteTable(
        [
            Route(compile_template("x"), frozenset({"GET"}), "read"),
            Route(compile_template("x"), frozenset({"POST"}), "write"),
        ]
    )
    assert table.find("POST", "/x") == ("write", {})
    assert table.find("HEAD", "/x") is None


literals = st.sampled_from(["a", "b", "a.b", "Api"])
names = st.sampled_from(["x", "y", "z"])


@st.composite
def templates(draw: st.DrawFn) -> list[str]:
    """Whole-segment templates, each parameter with a name of its own."""
    segments = draw(st.lists(literals | names.map(lambda name: f"{{{name}}}"), max_size=4))
    segments += draw(st.sampled_from([[], ["{last?}"], ["{*rest}"], ["{last:int}"]]))
    used: set[str] = set()
    return [s for s in segments if not s.startswith("{") or not (s in used or used.add(s))]  # type: ignore[func-returns-value]


paths = st.lists(st.sampled_from(["a", "A", "b", "a.b", "aXb", "api", "1", "-2"]), max_size=6)


def naive_match(template: Sequence[str], path: Sequence[str]) -> dict[str, str] | None:
    """Segment by segment, as the rules are told."""
    if not template:
        return None if path else {}
    head, rest = template[0], template[1:]
    if head == "{*rest}":
        return {"rest": "/".join(path)} if path else {}
    if not path:
        return {} if head == "{last?}" else None
    here, following = naive_segment(head, path[0]), naive_match(rest, path[1:])
    return None if here is None or following is None else here | following


def naive_segment(segment: str, text: str) -> dict[str, str] | None:
    if not segment.startswith("{"):
        return {} if segment.lower() == text.lower() else None
    if segment == "{last:int}" and not text.lstrip("-").isdigit():
        return None
    return {re.sub(r"[{}?]|:int", "", segment): text}


@given(templates(), paths, st.booleans())
def test_templates_agree_with_a_naive_matcher(
    template: list[str], path: list[str], slash: bool
) -> None:
    end = "/" if slash and path else ""
    expected = naive_match(template, path)
    if expected is not None and "rest" in expected:
        expected["rest"] += end  # a catch-all keeps the slash that others ignore
    assert compile_template("/".join(template)).match("/" + "/".join(path) + end) == expected
