"""The state of the whole system at one moment: looked at, judged, shown."""
