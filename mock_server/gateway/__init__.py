"""The way of a request: values without I/O (request, response, exchange) and the ordered layers they pass.

Knows neither WSGI, Flask nor sockets (`web` and `serving` do), and no rule of Central (`central` does).
"""
