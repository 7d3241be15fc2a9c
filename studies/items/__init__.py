"""Items: where they come from, what is known of them, and how a judge sees them."""
