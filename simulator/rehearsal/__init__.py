"""Rehearse a rollout: the backend's own use cases on a virtual clock, with a virtual hub and fleet.

A rehearsal does not connect to Azure, and stores nothing after the process ends.
"""
