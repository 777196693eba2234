"""Compares volume, journals and CUBE, and enqueues the registrations that were lost."""
