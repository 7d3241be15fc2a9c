"""Language models: how they are asked, and how their replies are read."""
