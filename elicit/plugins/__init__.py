"""Plug-ins: how they are found, loaded, and blamed.

`registry` finds them by name; `user_files` says what a user's own file has to return, and whose fault it is where it
does not.
"""
