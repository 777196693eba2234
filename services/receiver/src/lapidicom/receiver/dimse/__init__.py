"""The DIMSE services of the SCP: C-STORE and C-ECHO (PS3.7)."""
