"""State the release of the app, and the number of the format in which it stores.

`pyproject.toml` takes APP_VERSION from here. Rows and queue messages carry SCHEMA_VERSION. Rules
for both: docs/upgrading.md.
"""

from functions.errors import NewerSchemaError

APP_VERSION = "1.0.0"
# Add 1 in a release that adds, removes or changes anything in stored rows or queue messages: an
# earlier release writes whole rows, and would drop what it does not know.
SCHEMA_VERSION = 3
# The name of the number in rows and messages. Those of releases before 1.0.0 have none.
SCHEMA = "schema"
UNNUMBERED_SCHEMA = 1


def check_schema(version: int, what: str) -> None:
    """Raise NewerSchemaError if `what` was stored in a format that this release cannot read."""
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{what} was stored by a newer release of the app (schema {version}); this release,"
            f" {APP_VERSION}, reads schemas up to {SCHEMA_VERSION}. Nothing was changed. Install"
            " the newer release; while one replaces the other, try again."
        )
