"""A Procom client made of aiortc, steered by lines on standard input.

argv[1]: JSON {url, user, password, speaks, hears, lies, labels}. Every frame of the gateway is printed as one
JSON object with its type as `event`, which comes first; `ready` follows the welcome. Incoming
calls are answered at once. A call it makes has a data channel of each label: `open`, `heard` and `closed` tell what
becomes of them. Commands: call ADDRESS | say LABEL TEXT | say_long LABEL BYTES | say_often LABEL COUNT TEXT | drop |
hang_up | quit
"""

import asyncio
import json
import re
import sys

import websockets
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRecorder
from aiortc.sdp import candidate_from_sdp

settings = json.loads(sys.argv[1])


def tell(event, **members):
    members.pop("event", None)
    print(json.dumps({"event": event, **members}), flush=True)


def lie(line):
    """Keeps the form of a fingerprint and none of its content."""
    return line[1] + re.sub("[0-9A-F]{2}", "AB", line[0][len(line[1]) :])


class Client:
    def __init__(self, socket):
        self.socket = socket
        self.call = None
        self.connection = None
        self.recorder = None
        self.waiting = []
        self.channels = {}

    async def send(self, frame):
        await self.socket.send(json.dumps(frame))

    def connect(self):
        self.connection = RTCPeerConnection()
        self.player = MediaPlayer(settings["speaks"], loop=True)
        self.connection.addTrack(self.player.audio)
        self.recorder = MediaRecorder(settings["hears"])
        self.connection.on("track", self.recorder.addTrack)

    def open_channel(self, label):
        channel = self.channels[label] = self.connection.createDataChannel(label)
        channel.on("open", lambda: tell("open", label=label))
        channel.on("message", lambda text: tell("heard", label=label, text=text))
        channel.on("close", lambda: tell("closed", label=label))

    async def dial(self, address):
        self.call = "py1"
        self.connect()
        for label in settings["labels"]:
            self.open_channel(label)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp = self.connection.localDescription.sdp
        if settings["lies"]:
            sdp = re.sub(r"(?m)^(a=fingerprint:\S+ )\S+", lie, sdp)
        await self.send({"type": "call", "call": self.call, "to": address, "sdp": sdp})
        # aiortc gathers before it describes, so that all candidates are in the offer.
        await self.send({"type": "candidate", "call": self.call, "candidate": None})

    async def accept(self, frame):
        self.call = frame["call"]
        await self.send({"type": "ringing", "call": self.call})
        self.connect()
        offer = RTCSessionDescription(frame["sdp"], "offer")
        await self.connection.setRemoteDescription(offer)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        sdp = self.connection.localDescription.sdp
        await self.send({"type": "answer", "call": self.call, "sdp": sdp})
        await self.send({"type": "candidate", "call": self.call, "candidate": None})
        await self.recorder.start()
        await self.take_waiting()

    async def take_answer(self, frame):
        if "sdp" in frame:
            answer = RTCSessionDescription(frame["sdp"], "answer")
            await self.connection.setRemoteDescription(answer)
            await self.recorder.start()
            await self.take_waiting()

    async def take_candidate(self, given):
        if not self.connection or not self.connection.remoteDescription:
            self.waiting.append(given)
            return
        line = (given or {}).get("candidate")
        if not line:
            await self.connection.addIceCandidate(None)
            return
        candidate = candidate_from_sdp(line.removeprefix("candidate:"))
        candidate.sdpMid = given.get("sdpMid")
        candidate.sdpMLineIndex = given.get("sdpMLineIndex")
        await self.connection.addIceCandidate(candidate)

    async def take_waiting(self):
        waiting, self.waiting = self.waiting, []
        for given in waiting:
            await self.take_candidate(given)

    async def close(self):
        if self.recorder:
            await self.recorder.stop()
        if self.connection:
            await self.connection.close()
        self.recorder = self.connection = self.call = None

    async def handle(self, frame):
        tell(frame["type"], **frame)
        kind = frame["type"]
        if kind == "incoming":
            await self.accept(frame)
        elif kind in ("progress", "answer"):
            await self.take_answer(frame)
        elif kind == "candidate":
            await self.take_candidate(frame["candidate"])
        elif kind == "end":
            await self.close()

    async def obey(self, line):
        word, _, rest = line.partition(" ")
        if word == "call":
            await self.dial(rest)
        elif word == "say":
            label, _, text = rest.partition(" ")
            self.channels[label].send(text)
        elif word == "say_long":
            label, _, count = rest.partition(" ")
            # Longer than the gateway's description allows.
            self.channels[label].transport._remote_max_message_size = 0
            self.channels[label].send("x" * int(count))
        elif word == "say_often":
            label, count, text = rest.split(" ", 2)
            for _ in range(int(count)):
                self.channels[label].send(text)
        elif word == "drop":
            self.socket.transport.abort()
        elif word == "hang_up":
            await self.send({"type": "end", "call": self.call, "cause": "normal"})
            await self.close()


async def main():
    options = {"subprotocols": ["procom.v1"], "max_size": 65536}
    async with websockets.connect(settings["url"], **options) as socket:
        client = Client(socket)
        user, password = settings["user"], settings["password"]
        await client.send({"type": "hello", "version": 1, "user": user, "password": password})
        welcome = json.loads(await socket.recv())
        tell(welcome["type"], **welcome)
        tell("ready")
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(reader)
        await loop.connect_read_pipe(lambda: protocol, sys.stdin)

        async def listen():
            async for text in socket:
                await client.handle(json.loads(text))

        listening = asyncio.create_task(listen())
        while line := (await reader.readline()).decode().strip():
            if line == "quit":
                break
            await client.obey(line)
        await client.close()
        listening.cancel()


asyncio.run(main())
