"""Every field of the two main records has a line of documentation beside it or above it."""

import inspect
import re

import pytest

from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Definition, Rollout


@pytest.mark.parametrize("record", [Definition, Rollout, DeviceUpdate])
def test_every_field_has_a_line_of_documentation(record: type) -> None:
    lines = inspect.getsource(record).splitlines()
    fields = [
        (number, line) for number, line in enumerate(lines) if re.match(r"    \w+: [^=]", line)
    ]
    undocumented = [
        line.strip()
        for number, line in fields
        if "  # " not in line and not lines[number - 1].startswith("    # ")
    ]
    assert len(fields) > 8
    assert not undocumented
