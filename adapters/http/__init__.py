"""The study server's HTTP, and its pages.

`app` has the routes and who may use which, `encoding` the bodies, problems and OpenAPI, `protocol_limits` bounds
connections, `observability` writes the log and the figures. What browsers load is in `page`: no build step, and each
of the two pages stays under 60 kB.
"""
