"""The entry point of Azure Functions: registers all functions."""

import azure.functions as func

from functions import wiring
from functions.triggers import (
    background,
    http_changes,
    http_commands,
    http_devices,
    http_export,
    http_firmware,
    http_freeze,
    http_health,
    http_openapi,
    http_rollouts,
    http_states,
    http_ui,
    http_webhooks,
    route,
)

__all__ = [
    "app",
    "http_changes",
    "http_commands",
    "http_devices",
    "http_export",
    "http_firmware",
    "http_freeze",
    "http_health",
    "http_openapi",
    "http_rollouts",
    "http_states",
    "http_webhooks",
]

wiring.start_telemetry()
wiring.log_settings_error()
app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(route.blueprint)
app.register_functions(background.blueprint)
app.register_functions(http_ui.blueprint)
