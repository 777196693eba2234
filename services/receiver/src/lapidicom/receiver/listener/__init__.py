"""A listener process: takes connections from the supervisor and serves one association per thread."""
