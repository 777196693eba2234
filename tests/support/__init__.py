"""What the tests need from outside: a broker, a stand-in CUBE, waiting with a deadline."""
