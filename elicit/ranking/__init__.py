"""Estimates from a table of votes, all at once.

`davidson` is the fit, `leaderboard` the ranks it leaves open; `utilities` are learnt from features too, and
`prediction_powered` estimates stay honest where most labels are a machine's.
"""
