"""A study server, as a terminal or a script talks to it."""
