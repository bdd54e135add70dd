"""Test the command line `fleet`."""
