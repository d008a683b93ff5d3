"""Where integrations are kept: the stores in memory and in Redis, files, named scenarios.

No rule of Central and no rendering: a store is given the bytes that reads answer.
"""
