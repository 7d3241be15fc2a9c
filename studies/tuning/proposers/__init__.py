"""Proposers: one file each, whose name is its name; `elicit.tuning.protocol.Proposer` is their protocol."""
