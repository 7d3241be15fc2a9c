"""Queries go to people or machine judges; what it costs, and what audits say.

`dispatcher` routes a study's queries, `record` keeps what became of them, `costs` says what they cost, `failures` which
judges fail, `audits` what the machines' labels are worth; `judges_lock` lets one process at a time ask judges.
"""
