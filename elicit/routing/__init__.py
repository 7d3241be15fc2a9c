"""Who answers a query: a person, a machine judge, or nobody."""
