"""Strategies, workers, and what keeps a distributed job alive."""
