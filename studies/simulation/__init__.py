"""Studies that are simulated, from people who are made up or recorded."""
