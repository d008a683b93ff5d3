"""The harness: checks that a server keeps the contract and the rules of Central.

It knows a base URL and the contract, never the mock's rules: two readings of Central must agree.
"""
