"""Storage of integrations: stores in memory and in Redis, files, named scenarios.

No rules of Central and no rendering: the caller gives a store the bytes that reads answer.
"""
