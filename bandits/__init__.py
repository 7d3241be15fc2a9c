"""Selectors, one file each: what is asked next.

A file's name is the selector's; `elicit.selection.Selector` is their protocol. Counts of who beat whom, for those that
look at no model, are in `_counts`.
"""
