"""The query language: text to syntax tree, tree to closures, rows to pages."""
