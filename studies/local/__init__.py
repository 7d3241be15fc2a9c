"""One voter in a terminal, behind a process of its own that holds the engine.

`client` is what the screens call. `main` starts the process: `voting_host` serves a study, `tuning_host` one that
tunes prompts.
"""
