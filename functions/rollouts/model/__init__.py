"""Records: what a rollout, a device update and their parts are. No rules of their own."""
