import pytest

from functions.rollouts.model.strategy import Share


@pytest.mark.parametrize(
    ("hundredths", "text"),
    [(0, "0%"), (1, "0.01%"), (250, "2.5%"), (1_000, "10%"), (1_005, "10.05%"), (10_000, "100%")],
)
def test_a_share_is_written_without_digits_that_say_nothing(hundredths: int, text: str) -> None:
    assert str(Share(hundredths)) == text
