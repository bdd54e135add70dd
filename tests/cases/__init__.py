"""Hold the cases of known faults: strict expected failures, one per case.

Each reason begins with the case's number. A test asserts what is wanted; the change that mends the
fault removes the mark. Set-up is checked by `steps.require`, whose error no mark expects, so that a
broken set-up is never taken for the expected failure.
"""
