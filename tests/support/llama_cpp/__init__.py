"""A real model server for tests: programs for an environment of their own."""
