"""The journal as readers see it: format, records, folders. Writing stays with its owner, the receiver."""
