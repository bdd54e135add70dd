"""The lists of tests/conftest.py name files and folders that exist."""

import pytest

from simulator.paths import REPOSITORY
from tests.conftest import NOT_MEASURED, SLOW


@pytest.mark.parametrize("name", sorted({*SLOW, *NOT_MEASURED}))
def test_a_listed_file_or_folder_exists(name: str) -> None:
    path = REPOSITORY / name
    assert path.is_dir() if name.endswith("/") else path.is_file()
