"""WSGI and Flask: the edge in front of the gateway, and the blueprints for all paths that are not operations.

The layers of the gateway answer the operations.
"""
