"""Merging, limits and metadata of twin documents."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.errors import HubError
from simulator.hub.model.json_types import Document
from simulator.hub.model.twin_document import check_patch, check_size, merge_patch, stamp_metadata

KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "y"])
PATCHES = st.dictionaries(
    KEYS,
    st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8),
    max_size=3,
)


def leaves(document: Document, *above: str) -> dict[tuple[str, ...], Any]:
    """Return a document as a map of paths; an empty object is a leaf of its own."""
    flat: dict[tuple[str, ...], Any] = {}
    for key, value in document.items():
        if isinstance(value, dict) and value:
            flat |= leaves(value, *above, key)
        else:
            flat[(*above, key)] = value
    return flat


def merged_by_rfc(target: Any, patch: Any) -> Any:
    """Merge as the pseudo-code of RFC 7396, section 2, does."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged_by_rfc(target.get(name), value)
    return target


@given(st.lists(PATCHES, max_size=5))
def test_merging_agrees_with_the_rfc_and_leaves_its_input_alone(patches: list[Any]) -> None:
    document: Document = {}
    expected: Any = {}
    for patch in patches:
        before, untouched = copy.deepcopy(document), document
        document = merge_patch(document, patch)
        expected = merged_by_rfc(expected, patch)
        assert untouched == before
        assert document == expected
        assert None not in leaves(document).values()


@given(st.lists(PATCHES, max_size=5))
def test_metadata_mirrors_the_document(patches: list[Any]) -> None:
    document: Document = {}
    metadata: Document = {"$lastUpdated": 0}
    for number, patch in enumerate(patches, 1):
        document = merge_patch(document, patch)
        metadata = stamp_metadata(metadata, patch, {"$lastUpdated": number})
        assert metadata["$lastUpdated"] == number
        assert shape(document) == shape(metadata)


def shape(value: Any) -> Any:
    """Return the keys of a tree, without the hub's own; a value without keys is a leaf."""
    if not isinstance(value, dict):
        return {}
    return {key: shape(item) for key, item in value.items() if not key.startswith("$")}


def test_only_the_levels_of_a_patch_get_a_new_timestamp() -> None:
    first = stamp_metadata({}, {"a": {"b": 1, "c": 1}, "d": 1}, {"$lastUpdated": 1})
    second = stamp_metadata(first, {"a": {"b": 2}}, {"$lastUpdated": 2})
    assert second == {
        "$lastUpdated": 2,
        "a": {"$lastUpdated": 2, "b": {"$lastUpdated": 2}, "c": {"$lastUpdated": 1}},
        "d": {"$lastUpdated": 1},
    }


def nested(levels: int) -> Document:
    document: Document = {"k": 1}
    for _ in range(levels - 1):
        document = {"k": document}
    return document


@pytest.mark.parametrize(
    "patch",
    [
        {"a": 4503599627370495},
        {"a": -4503599627370496},
        {"a": [1, ["x"], {"b": True}]},
        {"k" * 1024: 1},
        {"a": "x" * 4096},
        {"a-b/c": None},
        nested(10),
    ],
)
def test_values_at_the_limits_are_accepted(patch: Document) -> None:
    assert check_patch(patch, "tags") == patch


@pytest.mark.parametrize(
    "patch",
    [
        {"a": 4503599627370496},
        {"a": -4503599627370497},
        {"a": [1, None]},
        {"a": [{"b": None}]},
        {"a": [{"b": {"c": None}}]},
        {"a": [[None]]},
        {"k" * 1025: 1},
        {"": 1},
        {"a": "x" * 4097},
        {"a.b": 1},
        {"a": {"$b": 1}},
        {"$b": 1},
        {"a b": 1},
        {"a\n": 1},
        {"a\x7f": 1},
        nested(11),
    ],
)
def test_values_beyond_the_limits_are_refused(patch: Document) -> None:
    with pytest.raises(HubError) as caught:
        check_patch(patch, "tags")
    assert caught.value.code.value == 400004


def test_the_hubs_own_keys_are_dropped_at_the_top_only() -> None:
    assert check_patch({"$version": 3, "$metadata": {}, "a": 1}, "desired") == {"a": 1}


def test_size_counts_keys_strings_numbers_and_booleans() -> None:
    document: Document = {"ab": "xyz", "c": {"d": 1.5, "e": True}, "f": [1, "g"]}
    size = (2 + 3) + (1 + (1 + 8) + (1 + 4)) + (1 + 8 + 1)
    check_size(document, size, "tags")
    with pytest.raises(HubError):
        check_size(document, size - 1, "tags")
