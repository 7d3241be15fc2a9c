"""Queries go to people or machine judges; what it costs, and what audits say."""
