"""The harness, tried on the mock: green on a healthy one, red by the right check on a mutated one."""
