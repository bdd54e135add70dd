"""Start the telemetry of a process, if a setting names its destination.

OpenTelemetry is slow to import, so nothing of it is imported without a destination.
"""

import logging

from functions.settings.environment import TelemetrySettings
from functions.telemetry.port import NO_TELEMETRY, Telemetry

_log = logging.getLogger(__name__)


def start(settings: TelemetrySettings) -> Telemetry:
    """Return the telemetry of this process. Raises nothing: without it, rollouts go on."""
    if settings.destination is None:
        return NO_TELEMETRY
    try:
        from functions.telemetry.exporters import make_exporters  # noqa: PLC0415
        from functions.telemetry.pipeline import Pipeline  # noqa: PLC0415

        return Pipeline(make_exporters(settings)).telemetry
    except Exception as error:  # noqa: BLE001 - an invalid setting, or a missing package
        # Without the message: it may repeat the connection string.
        _log.error(
            "No telemetry is exported: %s or a standard setting of OpenTelemetry is invalid (%s).",
            settings.destination,
            type(error).__name__,
        )
        return NO_TELEMETRY
