"""Say what the use cases need of a store, one port per subject.

Every method raises StorageUnavailableError when the storage cannot be reached. A write of a
record that was read before raises LostRaceError when another request has changed the record
since; nothing is written then.
"""
