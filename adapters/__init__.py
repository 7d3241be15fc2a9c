"""The world outside: files, SQLite, HTTP, processes beside this one, and language models.

`ledger` keeps a study's log, `access` the tokens of whoever may use it; both and the book of calls stand on
`sqlite_files`, which knows reading anywhere and damage. `addresses` and `server_address` say where a server is
reached, `markup` makes texts safe HTML, `rpc` speaks through pipes with an engine process, `http_client` with machines
of others, and `embedder` turns texts into vectors.
"""
