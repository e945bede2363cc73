"""Reads files that others made: regular files only, with bounds on size, memory and time."""
