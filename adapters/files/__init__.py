"""Tables, items and pictures in and out of files."""
