"""Write the recording that test_recorded_responses.py compares with.

Run `python -m tests.functions.triggers.record_responses` after a change of the API that callers are
meant to see, and review the difference. No test writes the recording.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.functions.triggers.recorded_scenarios import SCENARIOS, openapi, responses

RESPONSES = Path(__file__).with_name("recorded_responses.json")
OPENAPI = Path(__file__).with_name("recorded_openapi.json")


def write(path: Path, value: Any) -> None:
    """Write `value` as JSON with sorted keys."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def main() -> None:
    """Send every recorded request and write the responses and the API's description."""
    recorded = {name: responses(name) for name in SCENARIOS}
    write(RESPONSES, recorded)
    write(OPENAPI, openapi())
    sys.stdout.write(f"{sum(map(len, recorded.values()))} requests recorded\n")


if __name__ == "__main__":
    main()
