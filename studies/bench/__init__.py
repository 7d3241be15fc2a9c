"""`elicit bench`: methods side by side on known truth. One file a bench, over one way of running and summing up."""
