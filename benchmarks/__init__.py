"""What the mock costs, measured beside a bare Flask app in one run: ``python -m benchmarks``."""
