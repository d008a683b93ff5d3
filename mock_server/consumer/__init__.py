"""The consumer report: which parts of the contract a client met, which it never met, and how to make those happen.

Pure functions from counts (`simulation.usage`) and a contract to text.
"""
