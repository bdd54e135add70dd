"""Write log lines to stderr: time, level, the function that logs, message.

A record from inside an invocation shows the name of its function; other records show the name of
their logger. Of host.json's `logging.logLevel`, only `default` is used.
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
    """Marks each record with its function's name and drops records below a level."""

    def __init__(self, running: Mapping[str, str], level: str) -> None:
        """Map ids of running invocations to function names by `running`."""
        super().__init__()
        self._running = running
        self._threshold = _LEVELS.get(level.lower(), logging.INFO)

    def filter(self, record: logging.LogRecord) -> bool:
        """Set `record.function`; return whether the record is written."""
        if getattr(record, "function", None) is None:
            record.function = self._running.get(current_invocation_id() or "")
        return record.levelno >= self._threshold


def start_logging(running: Mapping[str, str], level: str) -> None:
    """Send every logger's records from `level` on to stderr.

    DEBUG records need the worker's switch PYTHON_ENABLE_DEBUG_LOGGING, as in Azure.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    handler.addFilter(FunctionNames(running, level))
    debug = is_true(os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler])
    quiet_library_logs()
    # Nothing shows these, and every record pays for them (Python, "Logging HOWTO", "Optimization").
    logging.logProcesses = logging.logMultiprocessing = False
    # The storage SDK logs every request; a server's complaint about a request may hold its URL.
    logging.getLogger("azure.core").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
