"""What is believed of utilities, and how a vote changes it."""
