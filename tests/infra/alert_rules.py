"""Read the alerts of the template, and evaluate them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.infra.kql import Query, Row
from tests.infra.template import BicepFile


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of the template."""

    name: str
    severity: int  # 0, the worst, to 4
    query: str
    fires: str  # GreaterThan or LessThan
    threshold: int
    is_split: bool  # fires for each value of the column Rollout by itself

    def is_firing(self, rows: Sequence[tuple[str, Row]]) -> bool:
        """Return whether it fires if these rows, each with its table, are in its window."""
        found = Query(self.query).count(rows)
        return found > self.threshold if self.fires == "GreaterThan" else found < self.threshold

    def firing_for(self, rows: Sequence[tuple[str, Row]]) -> set[str]:
        """Return the rollouts for which it fires if these rows are in its window."""
        found = Query(self.query).count_by("Rollout", rows)
        return {rollout for rollout, count in found.items() if count > self.threshold}


def read_alerts(folder: Path) -> list[Alert]:
    """Return the alerts of a template in their order."""
    file = BicepFile(folder / "modules/alerts.bicep")
    return [_read_alert(file, item) for item in file.parsed["variables"]["alerts"]["value"]]


def _read_alert(file: BicepFile, item: Mapping[str, Any]) -> Alert:
    query = item["query"]["function"]["parameters"]["file_path"]
    return Alert(
        name=item["name"],
        severity=item["severity"],
        query=(file.path.parent / query).read_text(),
        fires=item["fires"],
        threshold=item["threshold"],
        is_split=item["split"],
    )
