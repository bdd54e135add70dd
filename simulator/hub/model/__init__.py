"""What the hub knows and decides: no sockets, no HTTP, no clock of its own."""
