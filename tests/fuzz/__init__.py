"""Properties that hold of whatever bytes come, over mutated seeds. `make test` runs a few hundred examples of
each, `make fuzz` as many as there is time for, by random seeds. What fails becomes an entry of a corpus.
"""
