"""Light devices: pure parts first, then two hundred of them on a hub."""
