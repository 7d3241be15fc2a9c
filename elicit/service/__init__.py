"""What screens and the HTTP interface may ask of a study.

`voting` is for one voter's screen. Of a server, `http_schema` has what it says and hears, `http_backend` what it asks
of a study, `assignment` who is lent which query; `names` says which names people may have.
"""
