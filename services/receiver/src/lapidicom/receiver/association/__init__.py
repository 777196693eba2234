"""One association, from its connection to its end: what it receives, stores and records, series by series."""
