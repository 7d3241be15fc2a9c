"""Many annotators at once, over HTTP.

`backend` takes the votes, `leases` lends the queries, `golds` are those whose answer is known, `group_commit` puts
many writes in one transaction, `pages` gives the log out. The engine is in `engine_process`, kept alive by
`engine_client`.
"""
