"""`/graphql`: the reports as one graph. Nothing here reaches storage but through them."""
