"""The hub's state and rules, without sockets, HTTP or a clock of its own."""
