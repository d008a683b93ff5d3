"""Serving an app over sockets: granian, a thread for tests, body time-outs, connection faults, reloading.

The only package that knows servers and sockets; nothing of it decides what is answered.
"""
