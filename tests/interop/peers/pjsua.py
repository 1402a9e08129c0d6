"""A phone made of pjsua2, steered by lines on standard input.

argv[1]: JSON settings (see src/pjsua.rs). Prints one JSON object a line, `event` first:
ready, registered, incoming, ringing, established, media, digit, ended, text, text_status, typing,
failed.
Commands: call URI | answer CODE | hang_up | hold | resume | digits D | write URI TEXT |
typing URI on|off | quit
"""

import json
import os
import sys
import threading
import time

import pjsua2 as pj

TRANSPORTS = {
    "udp": pj.PJSIP_TRANSPORT_UDP,
    "tcp": pj.PJSIP_TRANSPORT_TCP,
    "tls": pj.PJSIP_TRANSPORT_TLS,
}
settings = json.loads(sys.argv[1])
calls = []
buddies = {}
ended = []  # pjsua2 frees a call object that nobody holds while still using it


def tell(event, **members):
    print(json.dumps({"event": event, **members}), flush=True)


class Call(pj.Call):
    def onCallState(self, parameters):
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            tell("ringing", code=info.lastStatusCode)
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell("established")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            tell("ended", code=info.lastStatusCode, reason=info.lastReason)
            if self in calls:
                calls.remove(self)
                ended.append(self)

    def onCallMediaState(self, parameters):
        info = self.getInfo()  # held by name: pjsua2 frees it, and its media, with the last name
        for media in info.media:
            tell("media", status=media.status, direction=media.dir)
            heard = (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status in heard:
                audio = self.getAudioMedia(media.index)
                player.startTransmit(audio)
                audio.startTransmit(recorder)

    def onDtmfDigit(self, parameters):
        tell("digit", digit=parameters.digit)


class Account(pj.Account):
    def onRegState(self, parameters):
        tell("registered", code=int(parameters.code))

    def onIncomingCall(self, parameters):
        call = Call(self, parameters.callId)
        calls.append(call)
        answer(call, 180)
        tell("incoming", caller=call.getInfo().remoteUri)
        if settings["answers"]:
            answer(call, 200)


    def onInstantMessage(self, parameters):
        kind = parameters.contentType
        tell("text", sender=parameters.fromUri, kind=kind, body=parameters.msgBody)

    def onInstantMessageStatus(self, parameters):
        tell("text_status", code=int(parameters.code), body=parameters.msgBody)

    def onTypingIndication(self, parameters):
        tell("typing", sender=parameters.fromUri, is_on=bool(parameters.isTyping))


def buddy(uri):
    if uri not in buddies:
        config = pj.BuddyConfig()
        config.uri = uri
        config.subscribe = False
        buddies[uri] = pj.Buddy()
        buddies[uri].create(account, config)
    return buddies[uri]


def answer(call, code):
    parameters = pj.CallOpParam(True)
    parameters.statusCode = code
    call.answer(parameters)


def make_endpoint():
    config = pj.EpConfig()
    config.logConfig.level = 5
    config.logConfig.consoleLevel = 5
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.medConfig.noVad = True
    config.medConfig.clockRate = 8000
    config.medConfig.sndClockRate = 8000
    config.medConfig.sndAutoCloseTime = -1
    endpoint.libInit(config)
    endpoint.audDevManager().setNullDev()
    transport = pj.TransportConfig()
    transport.port = settings["port"]
    transport.boundAddress = transport.publicAddress = "127.0.0.1"
    if settings["transport"] == "tls":
        transport.tlsConfig.CaListFile = settings["authority"]
        transport.tlsConfig.certFile = settings["certificate"]
        transport.tlsConfig.privKeyFile = settings["key"]
    number = endpoint.transportCreate(TRANSPORTS[settings["transport"]], transport)
    endpoint.libStart()
    for codec in endpoint.codecEnum2():
        wanted = {"PCMU": 200, "PCMA": 199}.get(codec.codecId.split("/")[0], 0)
        endpoint.codecSetPriority(codec.codecId, wanted)
    return number


def make_account(transport):
    config = pj.AccountConfig()
    parameter = "" if settings["transport"] == "udp" else ";transport=" + settings["transport"]
    registration = settings["registration"]
    if registration:
        config.idUri = f'sip:{settings["user"]}@{registration["host"]}'
        proxy = f'sip:{registration["registrar"]}{parameter}'
        config.regConfig.registrarUri = proxy
        config.sipConfig.proxies.append(proxy + ";lr")
        credentials = pj.AuthCredInfo(
            "digest", "*", settings["user"], 0, registration["password"]
        )
        config.sipConfig.authCreds.append(credentials)
    else:
        config.idUri = f'sip:{settings["user"]}@127.0.0.1:{settings["port"]}'
    if settings["transport"] == "udp":
        config.sipConfig.transportId = transport
    media = config.mediaConfig
    media.transportConfig.port = settings["rtp_port"]
    media.transportConfig.portRange = 18
    media.transportConfig.boundAddress = "127.0.0.1"
    media.transportConfig.publicAddress = "127.0.0.1"
    media.srtpUse = pj.PJMEDIA_SRTP_MANDATORY if settings["sdes"] else pj.PJMEDIA_SRTP_DISABLED
    media.srtpSecureSignaling = 0
    if settings["sdes"]:
        media.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
    made = Account()
    made.create(config)
    return made


def obey(line):
    word, _, rest = line.partition(" ")
    parameters = pj.CallOpParam(True)
    if word == "call":
        call = Call(account)
        calls.append(call)
        call.makeCall(f"<{rest}>", parameters)
    elif word == "answer":
        answer(calls[-1], int(rest))
    elif word == "hang_up":
        calls[-1].hangup(pj.CallOpParam())
    elif word == "hold":
        calls[-1].setHold(parameters)
    elif word == "resume":
        parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
        calls[-1].reinvite(parameters)
    elif word == "digits":
        calls[-1].dialDtmf(rest)
    elif word == "write":
        uri, _, text = rest.partition(" ")
        message = pj.SendInstantMessageParam()
        message.content = text
        buddy(uri).sendInstantMessage(message)
    elif word == "typing":
        uri, _, state = rest.partition(" ")
        typing = pj.SendTypingIndicationParam()
        typing.isTyping = state == "on"
        buddy(uri).sendTypingIndication(typing)
    else:
        raise ValueError(f"unknown command {word}")


def read_lines():
    for line in sys.stdin:
        lines.append(line.rstrip("\n"))
    lines.append("quit")


endpoint = pj.Endpoint()
endpoint.libCreate()
transport_number = make_endpoint()
player = pj.AudioMediaPlayer()
player.createPlayer(settings["speaks"])
recorder = pj.AudioMediaRecorder()
recorder.createRecorder(settings["hears"])
account = make_account(transport_number)
lines = []
threading.Thread(target=read_lines, daemon=True).start()
tell("ready")
is_running = True
while is_running:
    endpoint.libHandleEvents(20)
    while lines:
        line = lines.pop(0)
        if line == "quit":
            is_running = False
            break
        try:
            obey(line)
        except (pj.Error, IndexError, ValueError) as why:
            tell("failed", command=line, why=why.info() if isinstance(why, pj.Error) else str(why))
for call in list(calls):
    call.hangup(pj.CallOpParam())
for _ in range(10):
    endpoint.libHandleEvents(20)
del player, recorder  # finishes the recording, in the thread of the sound device
time.sleep(0.3)
sys.stdout.flush()
os._exit(0)  # libDestroy would wait for threads that are not there
