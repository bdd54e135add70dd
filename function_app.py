"""The front door that Azure Functions opens: registers the blueprints, decides nothing."""

import azure.functions as func

from functions.triggers import (
    background,
    http_commands,
    http_devices,
    http_health,
    http_openapi,
    http_rollouts,
)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(http_rollouts.blueprint)
app.register_functions(http_commands.blueprint)
app.register_functions(http_devices.blueprint)
app.register_functions(http_health.blueprint)
app.register_functions(http_openapi.blueprint)
app.register_functions(background.blueprint)
