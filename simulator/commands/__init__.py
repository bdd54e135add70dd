"""The commands of `python -m simulator`, one module each.

What a command alone needs is imported inside it, so that each starts as fast as it can.
"""
