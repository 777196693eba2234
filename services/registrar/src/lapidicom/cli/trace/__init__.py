"""The story of an instance or a series: from journals, volume, dead letters and CUBE."""
