"""The table of decisions lists each decision file with its title and status.

.venv/bin/python -m tests.docs.test_decisions    # writes the table
"""

import re
from pathlib import Path

from simulator.paths import REPOSITORY

FOLDER = REPOSITORY / "docs/decisions"
TABLE = FOLDER / "README.md"
FILES = sorted(FOLDER.glob("[0-9]*.md"))
LINK = re.compile(r"\[(\d+)\]\((\d{4})-[a-z0-9-]+\.md\)")


def test_the_table_has_each_decision_with_its_title_and_status() -> None:
    assert len(FILES) > 80
    text = TABLE.read_text()
    assert text.splitlines() == with_table(text).splitlines()


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


def with_table(text: str) -> str:
    """Return the page with the rows of all decision files."""
    head, line, _ = text.partition("| --- | --- | --- |\n")
    return head + line + "".join(map(_row, FILES))


def _row(path: Path) -> str:
    text = path.read_text()
    title = re.match(r"# \d+\. (.+)\n", text)
    assert title, path
    return f"| [{path.name[:4]}]({path.name}) | {title[1]} | {_status(text)} |\n"


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


if __name__ == "__main__":
    TABLE.write_text(with_table(TABLE.read_text()))
