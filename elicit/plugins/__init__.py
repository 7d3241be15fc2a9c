"""Plug-ins: how they are found, loaded, and blamed."""
