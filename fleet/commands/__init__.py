"""The commands of `fleet`, by subject."""
