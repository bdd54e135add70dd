"""Show the rollout, a twin and the stored rows at the end of the demo."""

from typing import Any

from rich.console import Console
from rich.table import Table

from simulator.cloud.options import CloudOptions
from simulator.cloud.stored_rows import StoredTable, read_tables

type Json = dict[str, Any]

_MAX_IDS = 10


def show_results(console: Console, rollout: Json, twin: Json, options: CloudOptions) -> None:
    """Print the rollout, the device's twin and the rows in Table Storage."""
    console.print(f"\n6  The rollout, from GET /api/rollouts/{rollout['id']}:")
    console.print_json(data=_shorten_ids(rollout))
    console.print(f"\n7  The twin of {twin['device_id']}, from the hub:")
    console.print_json(data=_without_metadata(twin))
    console.print("\n8  The rows in Table Storage:")
    for table in read_tables(options.azurite.connection_string):
        console.print(_rows(table))


def _shorten_ids(rollout: Json) -> Json:
    """Return the rollout with a short list of device ids."""
    ids = rollout["target"].get("deviceIds", [])
    if len(ids) <= _MAX_IDS:
        return rollout
    few = [*ids[:_MAX_IDS], f"... and {len(ids) - _MAX_IDS} more"]
    return rollout | {"target": {"deviceIds": few}}


def _without_metadata(twin: Json) -> Json:
    """Return the twin without its metadata: the time of every property."""
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
