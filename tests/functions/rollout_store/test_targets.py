"""Test what the target stores on Azurite and in memory have in common."""

from concurrent.futures import ThreadPoolExecutor

from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.model.target import TargetDevice
from tests.functions.builders import NOON
from tests.functions.rollout_store.records import MANY, add_rollout

ODD_IDS = ("a#b", "a?b", "a%2Fb", "a'b", "it's", "a=b", "A", "a", "a:b", "x" * 128, "a%b", "=23")
STRANGE_IDS = ("a/b", "a\\b", "..", "=2F", "%2F", "a=23b", "' or 1 eq 1", "ü")


def test_a_part_of_a_target_is_replaced_by_its_number(
    stores: Stores,
) -> None:
    rollout_id = new_rollout_id(NOON)
    stores.targets.save_part(rollout_id, 0, [TargetDevice("a", "m/1"), TargetDevice("b")])
    stores.targets.save_part(rollout_id, 1, [TargetDevice("lost")])
    stores.targets.save_part(rollout_id, 1, [TargetDevice("c#?/\\")])
    assert stores.targets.get_parts(rollout_id, 0, 2) == [
        TargetDevice("a", "m/1"), TargetDevice("b"), TargetDevice("c#?/\\"),
    ]  # fmt: skip
    assert stores.targets.get_parts(rollout_id, 1, 2) == [TargetDevice("c#?/\\")]
    assert stores.targets.get_parts(rollout_id, 0, 0) == []


def test_a_devices_history_is_newest_first_in_pages(stores: Stores) -> None:
    created = [add_rollout(stores, "a", "ab", seconds=n).rollout.id for n in range(3)]
    add_rollout(stores, "b", seconds=9)
    first = stores.targets.list_history("a", 2, None)
    second = stores.targets.list_history("a", 2, first.cursor)
    assert [rollout.id for rollout, _ in first.items] == [created[2], created[1]]
    assert [rollout.id for rollout, _ in second.items] == [created[0]]
    assert second.cursor is None


def test_history_of_a_rollout_that_was_not_stored_is_not_listed(stores: Stores) -> None:
    stores.targets.save_history(new_rollout_id(NOON), {"orphan": 0})
    assert stores.targets.list_history("orphan", 10, None).items == []


def test_saving_history_again_changes_nothing(stores: Stores) -> None:
    snapshot = add_rollout(stores, "a", "b")
    stores.targets.save_history(snapshot.rollout.id, {"a": 0, "b": 0})
    ((rollout, update),) = stores.targets.list_history("a", 9, None).items
    assert rollout == snapshot.rollout
    assert update == snapshot.blocks[0].updates[0]


def test_every_valid_form_of_device_id_has_its_own_history(stores: Stores) -> None:
    snapshot = add_rollout(stores, *ODD_IDS, *MANY)
    for device_id in (*ODD_IDS, MANY[-1]):
        found = stores.rollouts.get_update(snapshot, device_id)
        assert found is not None
        assert found.device_id == device_id
        history = stores.targets.list_history(device_id, 10, None)
        assert [update.device_id for _, update in history.items] == [device_id]
    assert stores.rollouts.get_update(snapshot, "ghost") is None
    assert stores.targets.list_history("ghost", 10, None).items == []


def test_even_device_ids_that_no_hub_allows_have_their_own_history(stores: Stores) -> None:
    snapshot = add_rollout(stores, *STRANGE_IDS)
    found = {
        device_id: stores.rollouts.get_update(snapshot, device_id) for device_id in STRANGE_IDS
    }
    assert [item.device_id for item in found.values() if item] == list(STRANGE_IDS)
    for device_id in STRANGE_IDS:
        assert [
            update.device_id for _, update in stores.targets.list_history(device_id, 9, None).items
        ] == [device_id]


def test_the_later_rollouts_of_devices_are_found_newest_first(stores: Stores) -> None:
    earlier = add_rollout(stores, "a", "b")
    own = add_rollout(stores, *MANY, "a", "b", seconds=1).rollout.id
    first = add_rollout(stores, *MANY, "b", seconds=2).rollout.id
    second = add_rollout(stores, "a", "b", "c", *ODD_IDS, seconds=3).rollout.id
    add_rollout(stores, "elsewhere", seconds=4)
    found = stores.targets.find_later(own, ["a", "b", MANY[-1], "ghost"])
    assert list(found.items()) == [
        (second, frozenset({"a", "b"})),
        (first, frozenset({"b", MANY[-1]})),
    ]
    assert stores.targets.find_later(second, ["a", "b"]) == {}
    assert stores.targets.find_later(own, []) == {}
    assert set(stores.targets.find_later(earlier.rollout.id, ["a"])) == {own, second}


def test_the_blocks_of_a_rollouts_devices_are_read_at_once(stores: Stores) -> None:
    rollout_id = add_rollout(stores, *MANY, *ODD_IDS).rollout.id
    add_rollout(stores, *MANY[:3], seconds=1)
    found = stores.targets.get_block_numbers(rollout_id)
    assert found == {name: n // 100 for n, name in enumerate([*MANY, *ODD_IDS])}
    some = stores.targets.get_block_numbers(rollout_id, [MANY[0], MANY[249], "ghost", "a#b"])
    assert some == {MANY[0]: 0, MANY[249]: 2, "a#b": 2}
    assert stores.targets.get_block_numbers(new_rollout_id(NOON)) == {}


def test_devices_that_join_are_found_beside_the_first_ones(stores: Stores) -> None:
    snapshot = add_rollout(stores, "a", "b")
    rollout_id = snapshot.rollout.id
    stores.targets.add_history(rollout_id, {"c": 0, **dict.fromkeys(STRANGE_IDS, 1)})
    stores.targets.add_history(rollout_id, {"d": 0, "e": 25})
    stores.targets.add_history(rollout_id, {"c": 0})
    known = {"a": 0, "b": 0, "c": 0, "d": 0, "e": 25, **dict.fromkeys(STRANGE_IDS, 1)}
    assert stores.targets.get_block_numbers(rollout_id) == known
    later = add_rollout(stores, "d", seconds=-1)
    assert stores.targets.find_later(later.rollout.id, {"d", "e", "x"}) == {
        rollout_id: frozenset({"d", "e"})
    }


def test_devices_that_join_at_the_same_time_do_not_displace_each_other(stores: Stores) -> None:
    rollout_id = add_rollout(stores, "a").rollout.id
    ids = [f"late-{number}" for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda item: stores.targets.add_history(rollout_id, {item: 0}), ids))
    assert stores.targets.get_block_numbers(rollout_id) == dict.fromkeys(["a", *ids], 0)
