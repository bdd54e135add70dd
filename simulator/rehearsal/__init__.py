"""A rehearsal: the cloud's own use cases on a virtual clock, against a pretended hub and fleet.

Nothing here talks to Azure, and nothing outlives the process.
"""
