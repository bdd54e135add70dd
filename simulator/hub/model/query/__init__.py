"""The query language: text to syntax tree, tree to functions, rows to pages."""
