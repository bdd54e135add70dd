"""Send requests to addresses that callers chose.

`port` says what the use cases need, `addresses` which addresses may be dialled, and `https` sends.
"""
