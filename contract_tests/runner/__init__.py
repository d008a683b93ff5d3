"""A run: set-up, the checks in their order, clean-up, verdict, known differences, replay."""
