"""What is pretended around the agent: the bootloader, the restart, and faults on request.

Everything else of a device is real. A product has its own bootloader and needs none of this.
"""
