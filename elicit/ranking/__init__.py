"""Estimates from a table of votes, all at once."""
