"""Compare a published API document with the contract, report the differences, and write patches for what is new.

Pure except for `documents.fetched`. The `checks` test what a Central does; this package compares its document.
"""
