"""The local cloud: Azurite, the local hub and the Functions host, run together."""
