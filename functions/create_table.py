"""Create the table of rollouts anew after it vanished: `python -m functions.create_table`.

It takes the app's settings from the environment. Without it, no restart creates a table that was
there before: see docs/how-it-works.md, "A table that vanished".
"""

import sys

from functions import wiring
from functions.errors import FleetRolloutError


def main() -> int:
    """Create the table unless it exists. Print what was done, and return the exit code."""
    try:
        was_missing = wiring.create_table()
    except FleetRolloutError as error:
        print(error, file=sys.stderr)
        return 1
    print("The table was created; it has no rollouts." if was_missing else "The table exists.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
