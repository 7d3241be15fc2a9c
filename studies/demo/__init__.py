"""The demos: prompt tuning on a pool that was measured, or live.

`session` is the demo on the built-in pool, which `measure` makes; `live` is the one with the `small_model` on this
machine.
"""
