"""What a study's log can say, what it says now, and who keeps it.

`events` are the words, `state` is their fold, `ledger` the protocol of the place where a log is kept, and `pseudonyms`
says where a person's name may stand in one.
"""
