"""The terminal screens: thin clients of a study's service, which never load torch.

`commands` open `app`, which moves between `vote`, `overview`, `history`, `router`, `board` (prompts) and `help`;
`dialogs` and `editor` open over them. A ballot is painted by `ballot` in a `pane` of lines from `render`, with
`picture` above, `header` around it and `difference` marked; `pool` are a board's lines. `keys` and `words` are shared
with the plain mode, `pace` is a voter's time, and `latency` measures the screens.
"""

import os

# Painting waits for the next frame: at Textual's 60 a second, that is up to 17 of the 50 ms a vote may take.
os.environ.setdefault("TEXTUAL_FPS", "120")
