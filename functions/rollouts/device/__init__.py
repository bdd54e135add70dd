"""The rules of one device: invoke, follow, soak, observe. Imports `model` only."""
