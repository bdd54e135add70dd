"""What all tests of the backend share: each log line has all its values."""

import logging
import re
from collections.abc import Iterator

import pytest

_PLACEHOLDER = re.compile(r"%[ds]")


class _IncompleteLines(logging.Handler):
    """Keep the lines of the backend that lack a value."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("functions.") and _lacks_value(record):
            self.lines.append(f"{record.msg} {record.args}")


def _lacks_value(record: logging.LogRecord) -> bool:
    """Return whether a value is None or missing. Values may hold any text of a caller."""
    if not isinstance(record.args, tuple) or not record.args:
        return _PLACEHOLDER.search(str(record.msg)) is not None
    return None in record.args or len(record.args) != len(_PLACEHOLDER.findall(str(record.msg)))


@pytest.fixture(autouse=True)
def log_lines_are_complete() -> Iterator[None]:
    """Fail a test during which the backend logs a line that lacks a value."""
    logger, handler = logging.getLogger("functions.use_cases"), _IncompleteLines()
    level = logger.level
    logger.setLevel(logging.INFO)
    logging.root.addHandler(handler)
    yield
    logging.root.removeHandler(handler)
    logger.setLevel(level)
    assert not handler.lines
