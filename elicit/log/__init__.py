"""What a study's log can say, what it says now, and who keeps it."""
