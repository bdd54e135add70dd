"""Carry batches from the tick to the dispatchers.

`port` says what the use cases need, `storage_queue` implements it on a queue of Azure Storage, and
`messages` are the batches as queue messages.
"""
