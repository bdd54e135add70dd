"""The heart: what a rollout is and how it moves. Standard library only, no I/O, no clock."""
