"""The dead letters: what they are, and how to look at them without changing anything."""
