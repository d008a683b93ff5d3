"""The request path: values without I/O (request, response, exchange) and the layers that process them in order.

No WSGI, Flask or sockets (see `web` and `serving`), and no rules of Central (see `central`).
"""
