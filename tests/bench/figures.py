"""A measured figure, how it is printed, and how it is kept."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KEPT_IN = Path(".local/bench.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`ratio` is the value over that of `compared_to`, from the same run; None for a baseline."""

    name: str
    value: float
    unit: str
    compared_to: str | None = None
    ratio: float | None = None

    def line(self) -> str:
        text = f"{self.name:<52} {self.value:>10.2f} {self.unit:<8}"
        if self.compared_to is None or self.ratio is None:
            return text
        return f"{text} {self.ratio:>6.2f} x {self.compared_to}"


def keep(figures: Iterable[Figure]) -> None:
    """Write all figures of a run to `.local/bench.json`."""
    rows = [
        {
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "comparedTo": figure.compared_to,
            "ratio": figure.ratio,
        }
        for figure in figures
    ]
    KEPT_IN.parent.mkdir(exist_ok=True)
    KEPT_IN.write_text(json.dumps(rows, indent=2) + "\n")
