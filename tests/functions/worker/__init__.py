"""The app in Azure's Python worker: its library, driven as Azure's proxy worker drives it."""
