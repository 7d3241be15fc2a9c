"""Voting and tuning line by line, without a full screen: `voting` and `board`."""
