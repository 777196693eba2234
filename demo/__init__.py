"""`make demo`: the whole system on this machine, real DICOM through it, and a proof of what came out."""
