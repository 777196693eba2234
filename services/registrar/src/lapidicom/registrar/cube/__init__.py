"""CUBE, ChRIS' backend: its contract (generation v5: one POST per file), its client, its availability."""
