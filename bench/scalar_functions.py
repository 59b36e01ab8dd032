"""The scalar function of the benchmark; imports nothing, so that no peer pays for what it does not use."""


def add_one(x: int) -> int:
    return x + 1
