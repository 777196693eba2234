"""The tests of lapidicom: they mirror the source tree; outside systems stand in tests/support."""
