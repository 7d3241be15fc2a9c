"""What votes tell of those who cast them."""
