"""What the receiver and the registrar must agree on."""
