"""Export the app's log lines with their fields, on which alerts are written."""

import logging
from functools import cache

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider

APP_LOGGER = "functions"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_NANOSECONDS = 1_000_000_000
_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


class LogExport(logging.Handler):
    """Exports log lines. OpenTelemetry's own handler is deprecated in favour of a large package."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._logger = cache(provider.get_logger)

    def emit(self, record: logging.LogRecord) -> None:
        logger: Logger = self._logger(record.name)
        logger.emit(
            timestamp=int(record.created * _NANOSECONDS),
            severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.UNSPECIFIED),
            severity_text=record.levelname,
            body=record.getMessage(),
            attributes={
                name: value
                for name, value in vars(record).items()
                if name not in _STANDARD and isinstance(value, (str, int, float))
            },
            exception=record.exc_info[1] if record.exc_info else None,
        )
