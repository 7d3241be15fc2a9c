"""Utility models, one file each: from items and votes to a belief.

A file's name is the model's; `elicit.inference.posterior.UtilityModel` is their protocol.
"""
