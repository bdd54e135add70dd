"""Azure's doors: each parses what came in, calls one use case, and renders the answer."""
