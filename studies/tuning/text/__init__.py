"""What can be said of a prompt's text, and done to it, without a study."""
