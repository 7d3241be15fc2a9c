"""A study: its folder and log, the loop, and everything it does for people.

`study` is the study itself, specified in `spec` and, where it tunes prompts, `tuning_spec`. What it decides from
its log is in `decisions`, shared by live asks, `lookahead` and replays, with `recommendation` for the winner under a
limit, `outlook` for stopping and votes left, and `prompt_inputs` for the inputs that prompts are compared on. `prior`
is what an earlier study says, `run` lets judges vote, `api` is for scripts.
"""
