"""Commands: what a person types, and what is printed.

One file a subject; `options` has what they share, `option_types` which numbers an option takes, and `runs` how benches
are watched and told.
"""
