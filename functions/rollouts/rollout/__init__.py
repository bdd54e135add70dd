"""The rules of a rollout as a whole: waves, gate, starts, quotas, commands."""
