"""Routers, one file each: who answers a query."""
