"""The receiver: a C-STORE SCP that stores instances durably and publishes their registration."""
