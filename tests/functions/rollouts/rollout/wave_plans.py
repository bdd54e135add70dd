"""Draw the sizes of planned waves."""

from hypothesis import strategies as st

from functions.rollouts.model.strategy import Share

# Numbers of devices, and shares from 0.01% to 100%.
SIZES = st.one_of(st.integers(1, 50), st.integers(1, 10_000).map(Share))
