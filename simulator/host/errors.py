"""Errors that keep a host from starting.

    HostError
    ├── SettingsError     a settings file, host.json or the value of a setting is wrong
    ├── AppLoadError      function_app.py does not load, or declares what cannot run
    └── PortTakenError    nothing can listen on the address and port

A retry does not help before a file or an option is changed.
"""


class HostError(Exception):
    """The host cannot start; the message says what to change."""


class SettingsError(HostError):
    """A settings file or a setting is missing or malformed; names the setting, never its value."""


class AppLoadError(HostError):
    """The app cannot be run; `stack_trace` is the app's own, or empty."""

    def __init__(self, message: str, stack_trace: str = "") -> None:
        super().__init__(message)
        self.stack_trace = stack_trace


class PortTakenError(HostError):
    """The address and port cannot be listened on."""
