"""What is wrong with what a server is given, and what to do about it."""
