"""The checks, a module a subject. Importing a module registers its checks."""
