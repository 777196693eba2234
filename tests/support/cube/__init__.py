"""A stand-in for the ChRIS backend (CUBE): its HTTP contract for PACS files, and switches for its faults."""
