"""The shapes of what the doors answer: the one description from which OpenAPI and GraphQL types are made.

Nothing is checked against them while serving; tests hold every real answer against its shape.
"""
