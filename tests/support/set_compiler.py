"""Compiles shards in the test's own process."""

from processor.patterns.sets import SetCompiler


def compiler_here() -> SetCompiler:
    return SetCompiler()
