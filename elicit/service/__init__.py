"""What screens and the HTTP interface may ask of a study."""
