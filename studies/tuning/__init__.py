"""Prompt tuning: the pool grows, responses come when wanted, the result is measured.

`setup` makes a study of a task file, `tuner` is the loop, `pool` how prompts come and go: who makes how many is
`allocation`, what may join `admission`, and `drafting` what proposers that ask a model share. `board`, `bill` and
`result` tell where it stands, what it took and what it found. Proposers are in `proposers`, one file each; what is
done to a prompt's text is in `text`.
"""
