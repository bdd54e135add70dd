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
        ("api/{id}/x/{deviceId}", "/api/1/X/d", {"id": "1", "deviceId": "d"}),
        ("", "/", {}),
    ],
)
def test_a_template_matches_as_in_asp_net_core(
    template: str, path: str, values: dict[str, str] | None
) -> None:
    assert compile_template(template).match(path) == values


@pytest.mark.parametrize(
    "template",
    ["{a}/{A}", "{a}{b}", "{a", "a}", "{}", "a//b", "{1a}"],
)
def test_a_malformed_template_is_refused_with_its_text(template: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(template))):
        compile_template(template)


@pytest.mark.parametrize(
    "template", ["x/{a?}", "{*a}", "{a:int}", "{a=1}", "v{major}.{minor}", "x{a}"]
)
def test_what_no_route_of_the_app_uses_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="is not supported by the local host"):
        compile_template(template)


def test_the_first_registered_route_wins() -> None:
    table = RouteTable(
        [
            Route(compile_template("x/plan"), None, "plan"),
            Route(compile_template("x/{id}"), None, "any"),
            Route(compile_template("x/fixed"), None, "never"),
        ]
    )
    assert table.find("GET", "/x/plan") == ("plan", {})
    assert table.find("GET", "/x/fixed") == ("any", {"id": "fixed"})
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
    """Generate templates in which each parameter has a name of its own."""
    segments = draw(st.lists(literals | names.map(lambda name: f"{{{name}}}"), max_size=5))
    used: set[str] = set()
    return [s for s in segments if not s.startswith("{") or not (s in used or used.add(s))]  # type: ignore[func-returns-value]


paths = st.lists(st.sampled_from(["a", "A", "b", "a.b", "aXb", "api", "1", "-2"]), max_size=6)


def naive_match(template: Sequence[str], path: Sequence[str]) -> dict[str, str] | None:
    """Match segment by segment."""
    if len(template) != len(path):
        return None
    values: dict[str, str] = {}
    for segment, text in zip(template, path, strict=True):
        if segment.startswith("{"):
            values[segment.strip("{}")] = text
        elif segment.lower() != text.lower():
            return None
    return values


@given(templates(), paths, st.booleans())
def test_templates_agree_with_a_naive_matcher(
    template: list[str], path: list[str], slash: bool
) -> None:
    end = "/" if slash and path else ""
    expected = naive_match(template, path)
    assert compile_template("/".join(template)).match("/" + "/".join(path) + end) == expected
