"""The commands of `python -m simulator`, one module each.

A command imports inside its function what no other command needs, so that each starts fast.
"""
