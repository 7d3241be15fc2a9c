"""Routers, one file each: who answers a query.

A file's name is the router's; `elicit.routing.case.Router` is their protocol. What several share is in `_labelling`,
`_drawing` and `_selective`.
"""
