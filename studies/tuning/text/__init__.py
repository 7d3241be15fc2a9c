"""What can be said of a prompt's text, and done to it, without a study.

`segments` are its parts, `recombine` makes children of them, `grid` composes prompts from slots, `wording` puts a task
in other words, `repair` makes sure that a text is a prompt of the study.
"""
