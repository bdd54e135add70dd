"""A measured figure: how it is printed and written to a file."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = Path(".local/bench.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value with its unit, and the figure of the same run that it is compared to."""

    name: str
    value: float
    unit: str
    base: "Figure | None" = None
    """What the value is compared to: a baseline or an aim; None for a baseline itself."""
    median_ratio: float | None = None
    """The median of the ratios of each round, where rounds are compared pairwise."""

    @property
    def ratio(self) -> float | None:
        """The value over that of the base; None without a base, or if the base is 0."""
        if self.median_ratio is not None:
            return self.median_ratio
        return self.value / self.base.value if self.base and self.base.value else None

    def line(self) -> str:
        text = f"{self.name:<52} {self.value:>10.2f} {self.unit:<8}"
        if self.base is None:
            return text.rstrip()
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x"
        return f"{text} {ratio:>8} {self.base.name} ({self.base.value:.2f})"


def write(figures: Iterable[Figure]) -> None:
    """Write all figures of a run to FILE."""
    rows = [
        {
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "comparedTo": figure.base.name if figure.base else None,
            "ratio": figure.ratio,
        }
        for figure in figures
    ]
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(rows, indent=2) + "\n")
