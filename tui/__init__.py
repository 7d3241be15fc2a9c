"""The terminal screens: thin clients of a study's service."""

import os

# Painting waits for the next frame: at Textual's 60 a second, that is up to 17 of the 50 ms a vote may take.
os.environ.setdefault("TEXTUAL_FPS", "120")
