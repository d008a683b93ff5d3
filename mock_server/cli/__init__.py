"""The commands `mock-central …`: options, files and the environment become settings.

Tests in the same process should not need anything from here.
"""
