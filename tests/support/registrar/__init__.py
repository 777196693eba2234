"""The registrar as a child process, with short times, and able to kill itself at an exact point."""
