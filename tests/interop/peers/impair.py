"""Loses and delays UDP datagrams of this network namespace through NFQUEUE.

argv[1]: JSON {ports: "FIRST:LAST", loss: 0 to 1, jitter_ms}. Prints {"event": "ready"} when the
rule stands; `quit` on standard input removes it and prints {"event": "done", seen, lost}.
"""

import heapq
import json
import os
import random
import select
import socket
import subprocess
import sys
import time

from netfilterqueue import NetfilterQueue

QUEUE = "7"
settings = json.loads(sys.argv[1])
rule = ["-p", "udp", "--dport", settings["ports"], "-j", "NFQUEUE", "--queue-num", QUEUE]
chance = random.Random(1)
waiting = []  # (when, number, packet)
count = {"seen": 0, "lost": 0}
environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"}


blocks = {}  # flow -> which packets of its current block are still to be lost


def is_lost(packet):
    """One packet of each block of a flow, at a random place: the share is what was asked for over
    any measured time, so that a figure outside its bounds is a fault of what is measured."""
    if not settings["loss"]:
        return False
    flow = packet.get_payload()[20:24]
    if not blocks.get(flow):
        size = round(1 / settings["loss"])
        lost = chance.randrange(size)
        blocks[flow] = [number == lost for number in range(size)]
    return blocks[flow].pop()


def take(packet):
    count["seen"] += 1
    if is_lost(packet):
        count["lost"] += 1
        packet.drop()
        return
    jitter = settings["jitter_ms"]
    delay_ms = max(0.0, chance.gauss(jitter, jitter / 2)) if jitter else 0.0
    packet.retain()
    heapq.heappush(waiting, (time.monotonic() + delay_ms / 1000, count["seen"], packet))


def release(until):
    while waiting and waiting[0][0] <= until:
        heapq.heappop(waiting)[2].accept()


queue = NetfilterQueue()
queue.bind(int(QUEUE), take, max_len=20000)
packets = socket.fromfd(queue.get_fd(), socket.AF_UNIX, socket.SOCK_STREAM)
subprocess.check_call(["iptables-legacy", "-I", "OUTPUT", *rule], env=environment)
print(json.dumps({"event": "ready"}), flush=True)
while True:
    pause = min(0.05, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.05
    readable, _, _ = select.select([packets, sys.stdin], [], [], pause)
    if sys.stdin in readable and sys.stdin.readline().strip() in ("quit", ""):
        break
    if packets in readable:
        queue.run(block=False)
    release(time.monotonic())
subprocess.check_call(["iptables-legacy", "-D", "OUTPUT", *rule], env=environment)
release(float("inf"))
queue.unbind()
print(json.dumps({"event": "done", **count}), flush=True)
