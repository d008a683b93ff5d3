"""What tests ask of the mock beyond Central: injected faults and the request journal, as data.

No HTTP: the layers of the gateway apply the one and fill the other.
"""
