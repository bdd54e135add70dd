"""Test that the tree of errors is what its module says."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import functions
from functions.errors import FleetRolloutError
from functions.rollouts.model.allowed_moves import IllegalMoveError


def own_errors() -> Iterator[type[Exception]]:
    """Return every exception class that a module of `functions` defines."""
    for found in pkgutil.walk_packages(functions.__path__, "functions."):
        module = importlib.import_module(found.name)
        for _, item in inspect.getmembers(module, inspect.isclass):
            if issubclass(item, Exception) and item.__module__ == found.name:
                yield item


def test_every_error_outside_the_rules_is_in_the_tree() -> None:
    errors = list(own_errors())
    outside = [error for error in errors if not error.__module__.startswith("functions.rollouts.")]
    assert len(outside) > 10
    assert [error for error in outside if not issubclass(error, FleetRolloutError)] == []


def test_the_rules_raise_value_errors_and_an_error_of_defects() -> None:
    rules = [error for error in own_errors() if error.__module__.startswith("functions.rollouts.")]
    assert rules
    others = [error for error in rules if not issubclass(error, ValueError)]
    assert others == [IllegalMoveError]
