"""The commands `mock-central …`: options, files and the environment become settings.

Nothing that a test suite in the same process could need.
"""
