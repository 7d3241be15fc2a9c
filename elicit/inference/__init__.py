"""What is believed of utilities, and how a vote changes it.

`posterior` has the protocols. `outcomes` says what a vote means, `noise` how readily voters tie and slip, `kernels`
are the priors. `gaussian` is the update, with `columns` for what branches share; `low_rank` is the same for large
pools, over the coordinates of `basis`, with `evicted` for own effects without a seat. `residuals` are preferences that
run in circles, `interactions` prompts on inputs; `averaging` weighs several beliefs. From many votes at once:
`networks` learn features, `laplace` fits what they see. `subset` leaves items out of a belief, `snapshots` keeps one.
"""
