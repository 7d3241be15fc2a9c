"""Items: where they come from, what is known of them, and how a judge sees them.

`candidates` are items, or pairs whose texts become items; `features` what is known of them before any vote;
`presentation` what a judge is shown.
"""
