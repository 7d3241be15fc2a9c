"""Judges, one file each: who votes without a screen.

A file's name is the judge's; `elicit.routing.judging.Judge` is their protocol. What those share that ask a language
model is in `_model_judge`.
"""
