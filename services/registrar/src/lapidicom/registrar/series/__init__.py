"""A series as a whole: when has it come, and what is in its folder? For CUBE v6."""
