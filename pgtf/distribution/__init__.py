"""Strategies, workers, and protection of a distributed job against hangs and signals."""
