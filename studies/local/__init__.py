"""One voter in a terminal, behind a process of its own that holds the engine."""
