"""Test simulated fleets: the parts without I/O first, then two hundred devices on a hub."""
