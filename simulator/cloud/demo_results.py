"""What the demo shows after the rollout's end: rollout, twin and stored rows."""

from typing import Any

from rich.console import Console
from rich.table import Table

from simulator.cloud.options import CloudOptions
from simulator.cloud.stored_rows import StoredTable, stored_tables

type Json = dict[str, Any]

_IDS_SHOWN = 10


def show_results(console: Console, rollout: Json, twin: Json, options: CloudOptions) -> None:
    """Print them, each under the question it answers."""
    console.print(f"\n6  The rollout, as GET /api/rollouts/{rollout['id']} gives it:")
    console.print_json(data=_with_few_ids(rollout))
    console.print(f"\n7  The twin of {twin['device_id']}, as the hub keeps it:")
    console.print_json(data=_essence(twin))
    console.print("\n8  What is stored in Azurite:")
    for table in stored_tables(options.azurite.connection_string):
        console.print(_rows(table))


def _with_few_ids(rollout: Json) -> Json:
    """The rollout, with a long list of device ids cut short."""
    ids = rollout["target"].get("deviceIds", [])
    if len(ids) <= _IDS_SHOWN:
        return rollout
    few = [*ids[:_IDS_SHOWN], f"... and {len(ids) - _IDS_SHOWN} more"]
    return rollout | {"target": {"deviceIds": few}}


def _essence(twin: Json) -> Json:
    """The twin without its metadata, which says for each property when it was written."""
    properties = {
        section: {name: value for name, value in content.items() if not name.startswith("$")}
        for section, content in twin["properties"].items()
    }
    return {"deviceId": twin["device_id"], "version": twin.get("version"), "properties": properties}


def _rows(table: StoredTable) -> Table:
    shown = Table(title=f"table {table.name}: {table.total} rows", title_justify="left")
    for heading in ("partition", "row", "some of its columns"):
        shown.add_column(heading, overflow="fold")
    for row in table.rows:
        shown.add_row(row.partition, row.row, row.columns)
    if table.total > len(table.rows):
        shown.add_row("…", "…", f"and {table.total - len(table.rows)} more")
    return shown
