"""A study server, as a terminal or a script talks to it.

`remote` is the study's service over HTTP: `leases` holds what it was lent, `outbox` the votes that are not sent yet,
`connection` is one call and its errors. `joining` is how a link makes an annotator.
"""
