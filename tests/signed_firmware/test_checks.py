"""Test which releases a device accepts once their signature is verified."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_firmware.errors import ManifestError
from signed_firmware.verification import check_agrees, check_fits
from tests.signed_firmware.builders import manifest

SEQUENCES = st.integers(1, 1000)


def test_a_release_for_another_model_is_refused() -> None:
    _assert_refused("wrongModel", model="thermostat")
    check_fits(
        manifest(models=("a", "thermostat-x1")),
        model="thermostat-x1",
        running_version="1",
        highest_sequence=0,
    )


@pytest.mark.parametrize("running", ["2.0.0", "2.0.1-rc.1", "2.0.0+build.7", "10.0.0"])
def test_the_minimum_version_and_later_ones_are_accepted(running: str) -> None:
    _check(minimum_version="2.0.0", running_version=running)


@pytest.mark.parametrize(
    "running", ["1.9.9", "2.0.0-rc.1", "2.0", "v2.0.0", "", "factory", "3.0.0\n", "9" * 5000]
)
def test_a_lower_or_invalid_version_is_too_old(running: str) -> None:
    _assert_refused("versionTooOld", minimum_version="2.0.0", running_version=running)


def test_any_version_is_accepted_without_a_minimum() -> None:
    _check(running_version="factory")


@given(SEQUENCES, SEQUENCES)
def test_a_lower_sequence_is_a_downgrade_and_an_equal_one_is_a_retry(new: int, taken: int) -> None:
    if new >= taken:
        _check(sequence=new, highest_sequence=taken)
    else:
        _assert_refused("downgrade", sequence=new, highest_sequence=taken)
    _check(sequence=new, highest_sequence=taken, allow_downgrade=True)


def test_a_new_device_accepts_any_sequence() -> None:
    _check(sequence=1, highest_sequence=0)


def test_a_rollout_may_leave_out_values_of_the_manifest() -> None:
    check_agrees(manifest(), version=None, sha256=None, size_bytes=None)
    check_agrees(manifest(), version="2.4.0", sha256="AB" * 32, size_bytes=1_048_576)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("version", {"version": "2.4.1"}),
        ("version", {"version": ""}),
        ("sha256", {"sha256": "cd" * 32}),
        ("sha256", {"sha256": ""}),
        ("sizeBytes", {"size_bytes": 0}),
        ("version, sha256", {"version": "2.4.1", "sha256": "cd" * 32}),
    ],
)
def test_a_rollout_that_contradicts_the_manifest_is_refused(
    name: str, said: dict[str, Any]
) -> None:
    values: dict[str, Any] = {"version": None, "sha256": None, "size_bytes": None}
    with pytest.raises(ManifestError, match=f"differ in {name}$") as refused:
        check_agrees(manifest(), **(values | said))
    assert refused.value.code == "manifestMismatch"


def _check(
    *,
    model: str = "thermostat-x1",
    running_version: str = "2.3.0",
    highest_sequence: int = 41,
    **changes: Any,
) -> None:
    check_fits(
        manifest(**changes),
        model=model,
        running_version=running_version,
        highest_sequence=highest_sequence,
    )


def _assert_refused(code: str, **case: Any) -> None:
    with pytest.raises(ManifestError) as refused:
        _check(**case)
    assert refused.value.code == code
