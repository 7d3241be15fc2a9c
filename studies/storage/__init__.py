"""A study on disk: its folder, what is forgotten, and the belief that is kept."""
