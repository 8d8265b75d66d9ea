"""Contestants as processes that answer one JSON object a line, so that none can take another one down."""

import json
import os
import select
import subprocess
import sys
import time


class Failed(Exception):
    """Why a contestant is out."""


class Contestant:
    """A started process."""

    def __init__(self, name, command, environment, log):
        self.name, self.seconds, self.buffer = name, [], b""
        self.log = open(log, "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        env={**os.environ, **environment})

    def answer(self, limit):
        """The next answer, within `limit` seconds."""
        end = time.monotonic() + limit
        out = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise Failed(f"no answer within {limit:.0f} s")
            chunk = os.read(out, 65536)
            if not chunk:
                raise Failed(f"ended with status {self.process.wait()}")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        value = json.loads(line)
        if "error" in value:
            raise Failed(value["error"])
        return value

    def ask(self, limit, **request):
        """Sends a request and waits for its answer."""
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failed(f"ended with status {self.process.wait()}") from error
        return self.answer(limit)

    def close(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            try:
                stream.close()
            except OSError:  # what was still to be written to it no longer matters
                pass


class Field:
    """The contestants of one cell: who fails is out, and the others go on."""

    def __init__(self, commands, environment, log):
        self.failed = {}
        self.alive = [Contestant(name, command, environment, log) for name, command in commands.items()]

    def each(self, step):
        """`step(contestant)` for each in turn; the results by name."""
        results = {}
        for contestant in list(self.alive):
            try:
                results[contestant.name] = step(contestant)
            except Failed as error:
                self.failed[contestant.name] = str(error)
                self.alive.remove(contestant)
                contestant.close()
                print(f"    {contestant.name}: failed: {error}", file=sys.stderr)
        return results

    def rotate(self):
        """Another one begins."""
        self.alive = self.alive[1:] + self.alive[:1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for contestant in self.alive:
            contestant.close()
