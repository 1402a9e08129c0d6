//! One WebSocket: frames to the adapter and back, pings, and what becomes of a reader that does not
//! read (RFC 6455 §5.5, §7).

use std::sync::Arc;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::Context;
use crate::bucket::{Bucket, Rate};
use crate::frame::MAX_FRAME_BYTES;
use crate::hub::Closing;
use crate::ledger::KEPT_OBJECTS;
use crate::session::{Peer, SocketId};

/// Largest message that is read at all: one that is a little too large is answered, not cut off.
const MAX_MESSAGE_BYTES: usize = 2 * MAX_FRAME_BYTES;
/// How many frames may wait for a reader: all that a resume may bring, and some more.
const QUEUE_FRAMES: usize = KEPT_OBJECTS + 200;
/// How many frames may come at once, in seconds of their rate.
const BURST_SECONDS: u32 = 4;

/// From a socket to the adapter.
#[derive(Debug)]
pub(crate) enum FromSocket {
    Opened(SocketId, Peer, mpsc::Sender<ToSocket>),
    Text(SocketId, String),
    Garbage(SocketId, &'static str),
    Closed(SocketId, Closing),
}

/// From the adapter to a socket. When the channel closes, the socket is dropped.
#[derive(Debug)]
pub(crate) enum ToSocket {
    Text(Arc<str>),
    Close(u16, &'static str),
}

type Sink<S> = SplitSink<WebSocketStream<S>, Message>;

/// How a socket is to end.
enum Farewell {
    /// The peer is gone, or has said goodbye.
    None(Closing),
    /// We say goodbye.
    Close(CloseCode, &'static str),
}

/// Serves one WebSocket until it ends.
pub(super) async fn run<S>(stream: S, id: SocketId, peer: Peer, context: &Context)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .read_buffer_size(16 * 1024);
    let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = stream.split();
    let (sender, mut receiver) = mpsc::channel(QUEUE_FRAMES);
    if context.to_hub.send(FromSocket::Opened(id, peer, sender)).await.is_err() {
        return;
    }
    let farewell = pump(&mut sink, &mut stream, &mut receiver, id, context).await;
    let closing = match farewell {
        Farewell::None(Closing::Clean) => {
            let _ = timeout(context.pace.write, sink.close()).await;
            Closing::Clean
        }
        Farewell::None(Closing::Dropped) => Closing::Dropped,
        Farewell::Close(code, reason) => {
            let _ = timeout(context.pace.write, say_goodbye(&mut sink, &mut stream, code, reason))
                .await;
            Closing::Dropped
        }
    };
    let _ = context.to_hub.send(FromSocket::Closed(id, closing)).await;
}

async fn pump<S>(
    sink: &mut Sink<S>,
    stream: &mut SplitStream<WebSocketStream<S>>,
    receiver: &mut mpsc::Receiver<ToSocket>,
    id: SocketId,
    context: &Context,
) -> Farewell
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let pace = context.pace;
    let rate = rate(context.limits.frames_per_second);
    let mut bucket = Bucket::new(Instant::now().into_std());
    let mut read_at = Instant::now();
    let mut pings = interval_at(Instant::now() + pace.ping, pace.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pong_due: Option<Instant> = None;
    loop {
        let paced = async {
            sleep_until(read_at).await;
            stream.next().await
        };
        let silence = async {
            match pong_due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = receiver.recv() => {
                let message = match message {
                    Some(ToSocket::Text(text)) => Message::text(text.as_ref()),
                    Some(ToSocket::Close(code, reason)) => {
                        return Farewell::Close(code.into(), reason);
                    }
                    None => return Farewell::None(Closing::Dropped),
                };
                if !matches!(timeout(pace.write, sink.send(message)).await, Ok(Ok(()))) {
                    return Farewell::None(Closing::Dropped);
                }
            }
            message = paced => {
                pong_due = None;
                if let Some(farewell) = receive(message, id, context).await {
                    return farewell;
                }
                let now = Instant::now();
                read_at = now + bucket.charge(rate, now.into_std());
            }
            _ = pings.tick() => {
                let ping = Message::Ping(Bytes::new());
                if !matches!(timeout(pace.write, sink.send(ping)).await, Ok(Ok(()))) {
                    return Farewell::None(Closing::Dropped);
                }
                pong_due.get_or_insert_with(|| Instant::now() + pace.pong);
            }
            () = silence => return Farewell::None(Closing::Dropped),
        }
    }
}

fn rate(frames_per_second: u32) -> Rate {
    Rate {
        burst: frames_per_second.saturating_mul(BURST_SECONDS),
        every: std::time::Duration::from_secs(1) / frames_per_second.max(1),
    }
}

/// Passes on what came; returns how the socket is to end, if it is.
async fn receive(
    message: Option<Result<Message, Error>>,
    id: SocketId,
    context: &Context,
) -> Option<Farewell> {
    let passed_on = match message {
        Some(Ok(Message::Text(text))) => FromSocket::Text(id, text.as_str().to_owned()),
        Some(Ok(Message::Binary(_))) => FromSocket::Garbage(id, "A frame is text."),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return None,
        Some(Ok(Message::Close(frame))) => {
            let is_clean = frame.is_none_or(|frame| {
                matches!(frame.code, CloseCode::Normal | CloseCode::Away | CloseCode::Status)
            });
            let closing = if is_clean { Closing::Clean } else { Closing::Dropped };
            return Some(Farewell::None(closing));
        }
        Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
            // Told, so that a client that does nothing else is disconnected for good.
            let told = FromSocket::Garbage(id, "A frame has at most 65536 bytes.");
            let _ = context.to_hub.send(told).await;
            return Some(Farewell::Close(CloseCode::Size, "a frame has at most 65536 bytes"));
        }
        Some(Err(Error::Utf8(_))) => {
            let _ = context.to_hub.send(FromSocket::Garbage(id, "A frame is UTF-8.")).await;
            return Some(Farewell::Close(CloseCode::Invalid, "not UTF-8"));
        }
        Some(Err(Error::Protocol(_))) => {
            return Some(Farewell::Close(CloseCode::Protocol, "not a WebSocket frame"));
        }
        Some(Err(_)) | None => return Some(Farewell::None(Closing::Dropped)),
    };
    match context.to_hub.send(passed_on).await {
        Ok(()) => None,
        Err(_) => Some(Farewell::Close(CloseCode::Restart, "the gateway stops")),
    }
}

/// Sends our close frame and waits for the peer's, so that nothing on the way is cut off.
async fn say_goodbye<S>(
    sink: &mut Sink<S>,
    stream: &mut SplitStream<WebSocketStream<S>>,
    code: CloseCode,
    reason: &'static str,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = CloseFrame { code, reason: reason.into() };
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}
