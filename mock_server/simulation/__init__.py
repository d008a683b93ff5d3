"""Test features that Central lacks: injected faults and the request journal, as data.

No HTTP here: the layers of the gateway apply the faults and fill the journal.
"""
