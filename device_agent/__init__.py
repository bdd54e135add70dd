"""The agent: a device's side of a firmware update, from the offer to the confirmed new firmware.

A library without a hub, a clock or a disk of its own: what it needs of a product is in `ports`.

    offer -> admission -> journal -> download -> other slot -> switch -> restart -> health check

Every step is written to the journal before it is taken, so that a device that loses power at any
moment goes on with the update, or falls back, and tells which.
"""
