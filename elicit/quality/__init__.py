"""What votes tell of those who cast them.

`records` are what annotators did. `agreement` says how far they agree, `reliability` how far each is to be trusted;
`conduct` checks them one by one, `collusion` together, and what a check finds is one of `findings`.
"""
