"""The acceptor side of the DICOM upper layer protocol (PS3.8)."""
