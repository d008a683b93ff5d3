"""Compare a published API document with the contract, report the differences, and write patches for what is new.

The package reads and writes nothing. The `checks` test what a Central does; this package compares its document.
"""
