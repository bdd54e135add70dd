"""Mutation tests of the rules and the use cases."""
