"""States apart in one server: the parts of one Central, and the sandboxes that share or copy them.

No HTTP: which sandbox a request is for is the gateway's matter.
"""
