"""What all tests of the backend share: each log line has all its values."""

import logging
import re
from collections.abc import Iterator

import pytest

_LACKS_VALUE = re.compile(r"\bNone\b|%[ds]")


class _IncompleteLines(logging.Handler):
    """Keep the lines of the backend that lack a value."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("functions."):
            return
        try:
            line = record.getMessage()
        except TypeError:  # the values do not fit the line
            self.lines.append(f"{record.msg} {record.args}")
        else:
            self.lines += [line] if _LACKS_VALUE.search(line) else []


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
