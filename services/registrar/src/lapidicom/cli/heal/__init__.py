"""Heals series of CUBE 6 that were registered with too few files, from another folder, or by half."""
