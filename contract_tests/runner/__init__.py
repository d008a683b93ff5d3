"""A run: the order of the checks, clean-up, verdict, known differences, replay."""
