"""Go's libraries, byte for byte, as pure functions: JSON, URLs, HTTP and gRPC clients, cloud accounts, quoting, times.

Nothing here knows Central, HTTP or the contract.
"""
