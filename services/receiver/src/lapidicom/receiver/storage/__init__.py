"""Storing an instance: the Part 10 file, its durable write, and the volume it is written to."""
