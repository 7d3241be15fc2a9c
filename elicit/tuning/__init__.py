"""Prompts: what they are tried on, and what is measured of their responses."""
