"""The declared topology beside the broker's: what is missing, what differs, what a policy breaks."""
