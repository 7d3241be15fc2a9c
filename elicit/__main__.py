"""`python -m elicit`: the command line."""

from elicit.cli import main

if __name__ == "__main__":
    main()
