"""The records of rollouts and their rules. Standard library only, no I/O, no clock."""
