"""WSGI and Flask: the edge in front of the gateway, and the blueprints of what is no operation.

No operation is answered here; those are the layers of the gateway.
"""
