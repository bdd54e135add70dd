"""Read and write the mutants that no test kills, with the reasons of those that are accepted."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ACCEPTED = Path(__file__).with_name("accepted.toml")
REPORT = Path(".local/mutation.txt")


@dataclass(frozen=True, slots=True, order=True)
class Survivor:
    """A change that no test notices; it has no number, so that other changes do not rename it."""

    where: str
    """The module and the function."""
    before: str
    """The changed lines, as they are."""
    after: str
    """The changed lines, as they were changed."""

    @classmethod
    def read(cls, name: str, diff: str) -> "Survivor":
        """Build a survivor from mutmut's name and its unified diff."""
        where = re.sub(r"__mutmut_\d+$", "", name).replace("x\u01c1", "").replace("\u01c1", ".")
        where = re.sub(r"\.x_(?=[^.]+$)", ".", where)
        lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
        return cls(where=where, before=_join(lines, "-"), after=_join(lines, "+"))

    def __str__(self) -> str:
        return f"{self.where}\n  - {self.before}\n  + {self.after}"


def read_accepted() -> dict[Survivor, str]:
    """Return the accepted survivors with their reasons."""
    found = tomllib.loads(ACCEPTED.read_text())["survivor"]
    return {
        Survivor(item["where"], item["before"], item["after"]): item["reason"] for item in found
    }


def write_survivors(survivors: Iterable[Survivor], accepted: dict[Survivor, str]) -> Path:
    """Write all survivors, those that are not accepted first."""
    ordered = sorted(survivors, key=lambda each: (each in accepted, each))
    texts = [f"{each}\n  = {accepted.get(each, 'NEW: kill it, or accept it')}" for each in ordered]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n\n".join(texts) + "\n")
    return REPORT


def _join(lines: list[str], sign: str) -> str:
    return " ".join(line[1:].strip() for line in lines if line.startswith(sign))
