"""The registrar: consumes registration messages and registers the instances with CUBE."""
