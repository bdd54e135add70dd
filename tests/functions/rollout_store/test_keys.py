import re
import string

from hypothesis import example, given
from hypothesis import strategies as st

from functions.rollout_store.ports.rollout_ids import is_rollout_id, new_rollout_id
from functions.rollout_store.table_storage import keys
from tests.functions.builders import at

LEGAL = string.ascii_letters + string.digits + "-.+%_#*?!(),=@$':~/\\"
device_ids = st.text(alphabet=LEGAL, min_size=1, max_size=128)


@given(device_ids)
def test_a_row_key_has_only_allowed_characters(device_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._~=-]{1,384}", keys.device_row(device_id))


@given(device_ids, device_ids)
def test_two_devices_have_different_rows(one: str, other: str) -> None:
    assert (keys.device_row(one) == keys.device_row(other)) == (one == other)


# 1 KiB in UTF-16 (Microsoft Learn, "Understanding the Table service data model").
MAX_KEY_CHARACTERS = 512
versions = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(versions, versions)
@example("\U0001f680" * 300, "\U0001f680" * 299)
@example("\U0001f680" * 64, "v" * 64)
def test_firmware_versions_of_any_length_have_different_keys(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._~=-]+", keys.firmware_row(one))
    assert len(keys.firmware_row(one)) <= MAX_KEY_CHARACTERS
    assert (keys.firmware_row(one) == keys.firmware_row(other)) == (one == other)


@given(device_ids, st.floats(0, 10**9), st.floats(0, 10**9), st.integers(0, 99))
def test_the_range_of_a_rollouts_history_has_its_rows_only(
    device_id: str, one: float, other: float, part: int
) -> None:
    assert 0 <= keys.history_bucket(device_id) < keys.HISTORY_BUCKETS
    first, second = new_rollout_id(at(one)), new_rollout_id(at(other))
    after, before = keys.history_range(first)
    assert after < keys.history_row(first, part) < before
    assert keys.is_history_row(keys.history_row(first, part))
    assert not keys.is_history_row(first)
    assert not after < keys.history_row(second, part) < before
    after, before = keys.history_range(first, small=True)
    assert after < keys.small_history_row(first, part) < before
    assert not after < keys.history_row(first, part) < before
    assert keys.history_rollout(keys.small_history_row(first, part)) == first


@given(device_ids, device_ids, st.floats(0, 10**9))
@example("a", "a~9", 0.0)
@example("a", "a!9", 0.0)
@example("a", "ab", 0.0)
def test_the_range_of_a_devices_history_has_its_rows_only(
    one: str, other: str, seconds: float
) -> None:
    rollout_id = new_rollout_id(at(seconds))
    after, before = keys.device_history_range(one, "")
    row = keys.device_history_row(one, rollout_id)
    assert after < row < before
    assert len(row) <= MAX_KEY_CHARACTERS
    assert (after < keys.device_history_row(other, rollout_id) < before) == (one == other)
    assert not re.search(r"[/\\#?]", row)
    # No history row of a rollout is taken for one of a device, nor the other way round.
    large_after, large_before = keys.large_history_range("")
    assert not large_after < row < large_before
    assert large_after < keys.history_row(rollout_id, 0) < large_before
    assert not large_after < keys.small_history_row(rollout_id, 0) < large_before


@given(st.floats(0, 10**9), st.floats(0.001, 10**9))
def test_a_newer_rollout_sorts_first(seconds: float, more: float) -> None:
    newer, older = new_rollout_id(at(seconds + more)), new_rollout_id(at(seconds))
    assert newer[:14] <= older[:14]
    assert is_rollout_id(newer)
