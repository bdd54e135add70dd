"""Check that the latest package of a version is kept where two instances take turns.

A store that remembers what it wrote would not write it again, although another instance has
written another package of the same version since.
"""

from functions.rollout_store.table_storage.stores import TableStores
from functions.rollouts.model.firmware import Firmware


class _Table:
    """Hold just enough of a table, shared by two instances."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, object]] = {}

    def put(self, rows: list[dict[str, object]]) -> None:
        for row in rows:
            self.rows[str(row["PartitionKey"]), str(row["RowKey"])] = row

    def get(self, partition: str, row: str) -> object:
        found = self.rows.get((partition, row))
        return None if found is None else type("Row", (), {"values": found, "version": "1"})()


def test_the_latest_package_of_a_version_is_kept() -> None:
    table = _Table()
    one, two = TableStores(table), TableStores(table)  # type: ignore[arg-type]
    good = Firmware(version="1.0.0", package_uri="https://packages.example/good.bin")
    bad = Firmware(version="1.0.0", package_uri="https://packages.example/gone.bin")
    one.catalogue.save(good)
    two.catalogue.save(bad)
    one.catalogue.save(good)  # the latest rollout of 1.0.0 is this one
    found = two.catalogue.get("1.0.0")
    assert found == good, f"a rollback sends {found.package_uri if found else None}"
