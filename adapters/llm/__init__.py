"""Language models: how they are asked, and how their replies are read.

`endpoint` asks over HTTP what `chat` says on the wire (`refused_fields`: and what some models refuse of it), `calls`
keeps what was paid for. `prompting` fills the templates in `prompts`; `target` is a model whose prompts are tuned, and
`reasoning` what it thought first. `answers` makes probabilities of a reply, `verdicts` finds the verdict in its words
(`verdict_clauses`, `verdict_words`), `lenient_json` the JSON.
"""
