"""A study on disk: its folder, what is forgotten, and the belief that is kept.

`folders` makes, reads and copies one, whole or not at all (`atomic_folder`), `outputs` says where a command may write,
`forgetting` takes a judge's name out, and `kept_belief` is what a long study starts from.
"""
