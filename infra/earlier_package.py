"""Find the package to put back: print the workflow run that kept the newest healthy one.

`python -m infra.earlier_package FILE` reads GitHub's list of artifacts of one name. It prints
nothing if none can be put back.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def find_run(listed: Mapping[str, Any]) -> int | None:
    """Return the id of the run with the newest artifact that this repository itself has kept.

    A pull request from a fork can store an artifact of any name, so those of forks are left out.
    """
    kept = [
        artifact
        for artifact in listed["artifacts"]
        if not artifact["expired"]
        and artifact["workflow_run"]["head_repository_id"]
        == artifact["workflow_run"]["repository_id"]
    ]
    if not kept:
        return None
    newest = max(kept, key=lambda artifact: artifact["created_at"])
    return int(newest["workflow_run"]["id"])


if __name__ == "__main__":
    run = find_run(json.loads(Path(sys.argv[1]).read_text()))
    if run is None:
        print("::warning::No earlier package is kept: nothing can be put back.", file=sys.stderr)
    else:
        print(run)
