"""CUBE, ChRIS' backend: its contract (v5 registers files, v6 series), its client, its availability."""
