"""Log lines on stderr: time, level, the function that logs, message.

A record that comes from inside an invocation carries its function's name; others carry their
logger's. Levels of host.json (`logging.logLevel`) are obeyed for `default`, `Function`,
`Function.<name>` and `Function.<name>.User`.
"""

import logging
import os
import sys
import time
from collections.abc import Mapping

from simulator.host.settings import is_true
from simulator.host.worker import current_invocation_id, quiet_library_logs

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}


class _Line(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._second = (0, "")  # most lines of a busy host fall into the same one

    def format(self, record: logging.LogRecord) -> str:
        second, at = self._second
        if second != int(record.created):
            second = int(record.created)
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, at)
        source = getattr(record, "function", None) or record.name
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return f"{at}.{int(record.msecs):03}Z {record.levelname:<7} [{source}] {text}"


class FunctionNames(logging.Filter):
    """Marks a record with its function's name and drops what host.json filters out."""

    def __init__(self, running: Mapping[str, str], levels: Mapping[str, str]) -> None:
        """`running` maps the ids of running invocations to function names."""
        super().__init__()
        self._running = running
        self._thresholds: dict[str | None, int] = {}
        self._levels = {
            category.lower(): _LEVELS.get(str(level).lower(), logging.INFO)
            for category, level in levels.items()
        }

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; also sets `record.function`."""
        function = getattr(record, "function", None)
        if function is None:
            function = self._running.get(current_invocation_id() or "")
            record.function = function
        return record.levelno >= self._threshold(function)

    def _threshold(self, function: str | None) -> int:
        known = self._thresholds.get(function)
        if known is None:
            known = self._thresholds[function] = self._look_up(function)
        return known

    def _look_up(self, function: str | None) -> int:
        categories = ["default"]
        if function is not None:
            name = f"function.{function.lower()}"
            categories = [f"{name}.user", name, "function", "default"]
        for category in categories:
            if category in self._levels:
                return self._levels[category]
        return 0


def start_logging(running: Mapping[str, str], levels: Mapping[str, str]) -> None:
    """Send every logger's records to stderr; INFO and up, DEBUG when the worker's switch says so.

    The switch is PYTHON_ENABLE_DEBUG_LOGGING, as for the real worker.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    handler.addFilter(FunctionNames(running, levels))
    debug = is_true(os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler])
    quiet_library_logs()
    # Nothing shows these, and every record pays for them (Python, "Logging HOWTO", "Optimization").
    logging.logProcesses = logging.logMultiprocessing = False
    # The storage SDK logs every request; a server's complaint about a request may hold its URL.
    logging.getLogger("azure.core").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
