"""The harness's own model of Central: expected states, checks on every answer, and rule-breaking variants."""
