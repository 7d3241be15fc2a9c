"""`elicit bench`: methods side by side on known truth.

One file a bench, over one way of running and summing up (`studies.simulation`); the commands are in `commands`, their
shared options in `options`. In `votes` recorded people answer. `methods` knows the methods by name. Peers that fit
beside our dependencies are in `peers`, `duelists` and `apohf`; `outside` plays those that clash, in `environments` of
their own.
"""
