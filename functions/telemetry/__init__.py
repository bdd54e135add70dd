"""Export logs, metrics and traces with OpenTelemetry. docs/telemetry.md names them.

`start` is the only module that is imported without a destination, and so costs nothing then.
"""
