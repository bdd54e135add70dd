"""HTTP route of the API's description (OpenAPI 3.1)."""

from azure.functions import HttpRequest, HttpResponse

from functions.triggers import openapi
from functions.triggers.address import url_without_query
from functions.triggers.responses import json_response
from functions.triggers.route import Route


@Route("GET", "openapi.json", summary="Return this description", response=None, problems=())
def get_openapi(request: HttpRequest) -> HttpResponse:
    return json_response(
        openapi.build_document(url_without_query(request).removesuffix("/openapi.json"))
    )
