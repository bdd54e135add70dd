"""The routes of the service API: each declares everything that its handling needs."""

import inspect
import typing
from dataclasses import MISSING, fields

import pytest

from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.metering import METERED, Operation
from simulator.hub.rest.admission import ServiceOperation
from simulator.hub.rest.routes import ROUTES, Route, find, split_path

SERVICE_OPERATIONS = typing.get_args(ServiceOperation.__value__)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.verb} {route.path}")
def test_each_route_declares_verb_path_operation_and_handler(route: Route) -> None:
    assert route.verb in {"GET", "PUT", "POST", "PATCH", "DELETE"}
    assert route.path.startswith("/")
    assert route.operation in SERVICE_OPERATIONS
    assert inspect.iscoroutinefunction(route.handler)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.verb} {route.path}")
def test_each_route_is_found_by_its_own_path(route: Route) -> None:
    found, ids = find(route.verb, split_path(route.path.replace("{id}", "one")))
    assert found is route
    assert ids == ("one",) * route.path.count("{id}")


def test_a_route_without_an_operation_cannot_be_declared() -> None:
    assert all(
        field.default is MISSING and field.default_factory is MISSING for field in fields(Route)
    )


def test_no_two_routes_have_the_same_verb_and_path() -> None:
    assert len({(route.verb, route.path) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize(
    ("verb", "path", "operation"),
    [
        ("POST", "/devices/query", Operation.QUERY),
        ("POST", "/devices", Operation.REGISTRY),
        ("DELETE", "/devices/a/modules/b", Operation.REGISTRY),
        ("POST", "/devices/a/applyConfigurationContent", Operation.CONFIGURATION),
        ("GET", "/twins/methods", Operation.TWIN_READ),
        ("GET", "/twins/a/modules/methods", Operation.TWIN_READ),
        ("PUT", "/twins/a", Operation.TWIN_UPDATE),
        ("PATCH", "/twins/a/modules/b", Operation.TWIN_UPDATE),
        ("POST", "/twins/a/modules/b/methods", Operation.METHOD),
        ("POST", "/configurations/testQueries", Operation.CONFIGURATION),
        ("GET", "/jobs/v2/query", Operation.JOB),
        ("GET", "/statistics/service", Operation.REGISTRY),
    ],
)
def test_operation_classes_are_those_of_the_quota_page(
    verb: str, path: str, operation: Operation
) -> None:
    route, _ids = find(verb, split_path(path))
    assert route.operation is operation


def test_metered_operations_of_services_are_methods_twins_and_queries() -> None:
    metered = {route.operation for route in ROUTES} & METERED
    assert metered == {
        Operation.METHOD,
        Operation.TWIN_READ,
        Operation.TWIN_UPDATE,
        Operation.QUERY,
    }


def test_an_unknown_route_is_an_error() -> None:
    with pytest.raises(HubError) as caught:
        find("GET", ("nothing",))
    assert caught.value.code is ErrorCode.NO_SUCH_ROUTE
