"""The entry points of Azure: each parses its input, calls one use case and writes the response."""
