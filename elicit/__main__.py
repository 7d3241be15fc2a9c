"""`python -m elicit`: the command line."""

from elicit.cli import main

main()
