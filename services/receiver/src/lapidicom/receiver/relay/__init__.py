"""The relay: publishes what journals hold, and finishes the journals of lives that have ended."""
