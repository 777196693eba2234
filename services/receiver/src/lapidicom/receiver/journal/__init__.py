"""The owner of a journal: a write-ahead log, one per life of a listener, for safety, order and outages."""
