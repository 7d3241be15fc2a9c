"""Prompt tuning: the pool grows, responses are made when they are wanted, and the result is measured."""
