"""One DICOM instance: its tags, how they are found in its bytes, and its place on the volume (pure)."""
