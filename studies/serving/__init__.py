"""Many annotators at once, over HTTP."""
