"""Why a host cannot start.

    HostError
    ├── SettingsError     a settings file, host.json or a setting's value is wrong
    ├── AppLoadError      function_app.py does not load, or Azure would refuse what it declares
    └── PortTakenError    the address and port cannot be bound

None of them is worth a retry: someone has to change a file or an option first.
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
    """The address cannot be listened on."""
