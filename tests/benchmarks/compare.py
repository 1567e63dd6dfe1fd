"""What every comparison does: take turns, and agree before anything is timed."""

import sys

DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}  # PyTorch's name: our policy
TOLERANCE = 1e-4  # of outputs, absolute; of gradients, relative to the largest


def interleave(entries, actions, repetitions):
    """Times each action of each entry in turn, round by round: a slow moment hits all of them.

    Args:
        entries: dict of the key of what was prepared to the worker that holds it.
        actions: list of str.

    Returns:
        dict of pairs of key and action to the list of seconds.
    """
    seconds = {(key, action): [] for key in entries for action in actions}
    for _ in range(repetitions):
        for action in actions:
            for key, worker in entries.items():
                seconds[key, action].append(worker.ask(time=key, action=action))
    return seconds


def drop(entries):
    for key, worker in entries.items():
        worker.ask(drop=key)


def must_agree(name, differences):
    """Ends the run if the two sides do not compute the same."""
    print(f"{name}: largest differences between the sides {differences}", flush=True)
    wrong = {k: v for k, v in differences.items() if k != "largest" and not v <= TOLERANCE}
    if wrong:
        sys.exit(f"Error: {name}: both sides must agree to {TOLERANCE}. Received: {wrong}")
