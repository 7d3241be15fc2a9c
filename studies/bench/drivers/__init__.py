"""What runs in the environments of outside peers: `exchange` speaks with the bench, and one driver a peer plays."""
