"""The parts of one Central, and the sandboxes of a server, which share or copy them.

No HTTP: the gateway chooses the sandbox of a request.
"""
