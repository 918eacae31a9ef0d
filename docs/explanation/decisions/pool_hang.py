"""Show what ``multiprocessing.Pool`` does when a worker dies: it waits for the lost answer for ever.

Prints "hangs" if there is no answer within the deadline, else "answers"; terminates the pool and leaves with 0.
"""

import multiprocessing
import os

DEADLINE_SECONDS = 1.0  # Ten calls that do nothing are over in milliseconds.
FATAL = 3


def work(number: int) -> int:
    """Return the number, but take the process down at one of them, as a segfault in a library would."""
    if number == FATAL:
        os._exit(1)
    return number


def main() -> None:
    """Ask a pool of two for ten answers, and wait no longer than the deadline."""
    with multiprocessing.Pool(2) as pool:
        answers = pool.map_async(work, range(10))
        answers.wait(DEADLINE_SECONDS)
        print("answers" if answers.ready() else "hangs")


if __name__ == "__main__":
    main()
