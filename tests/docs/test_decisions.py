"""The table of decisions lists each decision file with its title and status."""

import re
from pathlib import Path

from simulator.paths import REPOSITORY

FOLDER = REPOSITORY / "docs/decisions"
FILES = sorted(FOLDER.glob("[0-9]*.md"))
LINK = re.compile(r"\[(\d+)\]\((\d{4})-[a-z0-9-]+\.md\)")


def test_the_table_has_each_decision_with_its_title_and_status() -> None:
    assert len(FILES) > 80
    rows = re.findall(r"^\| \[(\d{4})\]\((.+)\) \| (.+) \| (.+) \|$", _table(), re.MULTILINE)
    assert rows == [_row(path) for path in FILES]


def test_each_replaced_decision_and_its_replacement_name_each_other() -> None:
    statuses = {int(path.name[:4]): _status(path.read_text()) for path in FILES}
    replaced = {
        (int(newer), number)
        for number, status in statuses.items()
        for newer in _numbers_behind("replaced by|replaced in part by", status)
    }
    replaces = {
        (number, int(earlier))
        for number, status in statuses.items()
        for earlier in _numbers_behind("replaces|replaces parts of", status)
    }
    assert replaced == replaces


def _table() -> str:
    return (FOLDER / "README.md").read_text()


def _row(path: Path) -> tuple[str, str, str, str]:
    text = path.read_text()
    title = re.match(r"# \d+\. (.+)\n", text)
    assert title, path
    return path.name[:4], path.name, title[1], _status(text)


def _status(text: str) -> str:
    """Return the status in the form of the table: "accepted, replaces 19"."""
    found = re.search(
        r"^Date: \d{4}-\d\d-\d\d\. Status: (.+?)\.\n\n", text, re.MULTILINE | re.DOTALL
    )
    assert found, text[:100]
    plain = LINK.sub(r"\1", found[1]).replace("\n", " ").lower()
    return plain.replace(". ", ", ")


def _numbers_behind(words: str, status: str) -> list[str]:
    return [
        number
        for part in re.findall(rf"(?:^|, )(?:{words}) (\d+(?: and \d+)*)", status)
        for number in part.split(" and ")
    ]
