"""A log replayed: as it was (`verify`), and as it would have gone (`counterfactual`)."""
