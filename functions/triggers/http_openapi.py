"""HTTP door to the description of all the others (OpenAPI 3.1)."""

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions.triggers import openapi
from functions.triggers.address import without_query
from functions.triggers.responses import answer, json_response

blueprint = func.Blueprint()


@blueprint.route("openapi.json", methods=["GET"])
def get_openapi(req: HttpRequest) -> HttpResponse:
    return answer(_document, req)


def _document(request: HttpRequest) -> HttpResponse:
    base = without_query(request).removesuffix("/openapi.json")
    return json_response(openapi.document(base))
