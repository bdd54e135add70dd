"""The commands of `python -m simulator`: their arguments, one module per part."""
