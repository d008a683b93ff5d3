"""The consumer report: what a client met of the contract, what it never did, and what would make it happen.

Pure: counts (`simulation.usage`) and a contract in, texts out.
"""
