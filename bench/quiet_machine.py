"""Timing that refuses to be disturbed: waits for idle cores, and says how much of the machine others used meanwhile."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """Processor time of everybody since boot."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, interrupt, soft_interrupt = map(int, file.readline().split()[1:8])
    return (user + nice + system + interrupt + soft_interrupt) / TICKS


def wait_until_idle(share=0.05, seconds=2.0, patience_s=1800.0):
    """Returns once the machine used less than `share` of one core for `seconds`. Raises TimeoutError."""
    give_up = time.monotonic() + patience_s
    while True:
        before, start = busy_seconds(), time.monotonic()
        time.sleep(seconds)
        used = (busy_seconds() - before) / (time.monotonic() - start)
        if used < share:
            return
        if time.monotonic() > give_up:
            raise TimeoutError(f"the machine did not become idle within {patience_s:.0f} s (now {used:.2f} cores are busy)")


class Others:
    """with Others() as others: ...; others.share(own) is then the mean number of cores that others kept busy."""

    def __enter__(self):
        self.busy, self.start = busy_seconds(), time.monotonic()
        return self

    def __exit__(self, *exception):
        self.busy, self.seconds = busy_seconds() - self.busy, time.monotonic() - self.start

    def share(self, own_seconds):
        return max(0.0, self.busy - own_seconds) / self.seconds
