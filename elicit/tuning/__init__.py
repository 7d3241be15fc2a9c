"""Prompts: what they are tried on, and what is measured of their responses.

`protocol` has the nouns and who proposes, `signals` what is told without a judge, `placeholders` how places for an
input are spelled.
"""
