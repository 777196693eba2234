"""The operators' command `lapidicom`: what waits, what failed and why, and how to mend it."""
