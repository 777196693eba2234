"""Benchmarks: lapidicom beside its peers, side by side in interleaved rounds (see receive.py)."""
