"""A log replayed: as it was, and as it would have gone."""
