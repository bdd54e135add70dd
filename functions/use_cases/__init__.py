"""What the backend does: read what is needed, ask the heart, write."""
