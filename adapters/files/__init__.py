"""Tables, items and pictures in and out of files.

`tables` reads rows and where they stand, `fields` makes types of what is in them, `formats` items, pairs and
judgments; `inputs` are of prompts, `pools` and `comparisons` read by columns what is too large for rows. `export`
writes, `toml_files` reads what people configure. `images` are pictures of items, from which `metadata` takes what
tells of their makers.
"""
