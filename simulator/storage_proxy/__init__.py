"""A proxy before the storage emulator that responds as slowly and as badly as real storage may.

`options` says where it listens, `faults` chooses what goes wrong, `proxy` forwards the requests,
`program` runs it as a process.
"""
