"""The commands of `central-contract`."""
