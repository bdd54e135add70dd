"""What the backend does, one module for each: read what is needed, ask the heart, write."""
