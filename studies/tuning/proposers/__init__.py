"""Proposers: one file each, whose name is its name; `elicit.tuning.Proposer` is their protocol."""
