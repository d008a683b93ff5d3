"""Plugins that run the harness in pytest and schemathesis."""
