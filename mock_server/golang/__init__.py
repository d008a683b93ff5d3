"""What Go's libraries do with JSON, URLs, addresses, texts and times, byte for byte: pure functions.

Nothing here knows Central, HTTP or the contract.
"""
