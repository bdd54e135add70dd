"""HTTP route of the API's description (OpenAPI 3.1)."""

from azure.functions import HttpRequest, HttpResponse

from functions.triggers import openapi
from functions.triggers.address import base_url
from functions.triggers.responses import json_response
from functions.triggers.route import Route


@Route("GET", "openapi.json", summary="Return this description", response=None)
def get_openapi(request: HttpRequest) -> HttpResponse:
    return json_response(openapi.build_document(base_url(request)))
