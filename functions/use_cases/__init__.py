"""Read what a decision needs, apply the rules of `functions.rollouts`, store the result."""
