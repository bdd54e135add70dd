"""HTTP door to a device's history."""

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.triggers import query
from functions.triggers.responses import answer, json_response
from functions.use_cases import read
from functions.wire import render

blueprint = func.Blueprint()


@blueprint.route("devices/{deviceId}/rollouts", methods=["GET"])
def list_device_history(req: HttpRequest) -> HttpResponse:
    return answer(_list_history, req)


def _list_history(request: HttpRequest) -> HttpResponse:
    device_id = request.route_params["deviceId"]
    services = wiring.services()
    now = services.clock()
    page = query.page(
        lambda limit, at: read.list_device_history(
            services.stores.targets, device_id, limit, at, now
        ),
        request,
    )
    items = [render.device_history(item) for item in page.items]
    return json_response(query.page_body(request, items, page.cursor))
