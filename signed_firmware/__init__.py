"""Signed firmware: what a publisher signs and what a device checks.

The publisher's half is `publisher`, the device's is `trust` and `verification`; both share the
`manifest`. Nothing here knows the hub, the cloud side or the simulated device.
"""
