"""Who answers a query: a person, a machine judge, or nobody.

`case` is what a router sees and gives, `judging` the protocol of judges. A label is made in `fusion`, of judges whose
`bias` is taken off and people whose `dispersion` is known; `certificate` says when a machine's label is accepted, and
`drift` for how long.
"""
