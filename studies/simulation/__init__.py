"""Studies that are simulated, from people who are made up or recorded.

`simulate` plays a method against known truth, `routing` routers on `recorded_streams`, `audits` certificates and
alarms. `planning` says how many votes a study will take. `jobs` runs many side by side, `summaries` add them up.
"""
