"""Answers to questions: they ask storage, compute with the catalogue, and know nothing of HTTP."""
