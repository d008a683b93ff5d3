"""All access to the target: write guard, budget, retries, recording, and Central's operations."""
