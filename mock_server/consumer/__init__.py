"""The consumer report: which parts of the contract clients covered, and how to reproduce the others.

Pure functions from counts (`simulation.usage`) and a contract to text.
"""
