# pyright: reportMissingModuleSource=false
# psutil is in the benchmark's environment only.
"""One side of a comparison as a process: it works only while it is asked to.

Requests and answers are lines of JSON on stdin and stdout. The runner asks one worker at a time and
waits for its answer, so two sides never compute at the same time.
"""

import contextlib
import gc
import json
import os
import resource
import subprocess
import sys
import time

KIB_PER_MIB = 1024
THREADS = 2  # of one operation, and of operations side by side; both sides get the same


def peak_memory():
    """The largest resident set that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


def library_memory():
    """What of the resident set are unchanged pages of programs and libraries, in MiB."""
    import psutil  # not before the peak has been read, to which it would add

    maps = psutil.Process().memory_maps(grouped=False)
    programs = {each.path for each in maps if each.path.startswith("/") and "x" in each.perms}
    return sum(each.rss - each.anonymous for each in maps if each.path in programs) / 2**20


def serve(jobs, facts):
    """Answers requests until stdin ends.

    Requests: {"prepare": job, "key": name, **arguments} builds a job; {"time": key, "action": name}
    runs one of its actions and answers the seconds; {"drop": key} forgets it; {"facts": true} and
    {"memory": true} answer what they say; anything else is looked up in `jobs` and answered with
    its result.

    Args:
        jobs: dict of functions. A job that is prepared returns a dict of actions.
        facts: dict. Versions and whatever else the report names.
    """
    # Whatever a library prints must not end up between two answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    baseline, prepared = peak_memory(), {}
    for line in sys.stdin:
        request = json.loads(line)
        if "facts" in request:
            answer = facts
        elif "memory" in request:
            answer = {"baseline": baseline, "peak": peak_memory()}
            answer["libraries"] = library_memory()
        elif "prepare" in request:
            job, key = jobs[request.pop("prepare")], request.pop("key")
            prepared[key] = job(**request)
            answer = True
        elif "drop" in request:
            del prepared[request["drop"]]
            gc.collect()
            answer = True
        elif "time" in request:
            action = prepared[request["time"]][request["action"]]
            start = time.perf_counter()
            action()
            answer = time.perf_counter() - start
        else:
            answer = jobs[request.pop("call")](**request)
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """The runner's end: starts a script that calls `serve` and talks to it.

    Args:
        python: path of the interpreter. script: path.
        variables: str. Of the script's environment.
    """

    def __init__(self, python, script, **variables):
        variables |= {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
        self.script = script
        self.process = subprocess.Popen(
            [python, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )

    def ask(self, **request):
        """Sends a request and waits for the answer.

        Raises:
            RuntimeError: the worker ended; its own message stands on stderr.
        """
        assert self.process.stdin and self.process.stdout
        line = ""
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise RuntimeError(f"{self.script} ended with status {code} at request {request}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # of a worker that has ended already
            self.process.stdin.close()
        self.process.wait()
