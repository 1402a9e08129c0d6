//! A bare Procom client on a WebSocket: well-behaved frames, checked against the published JSON
//! Schema, and frames no client would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use jsonschema::Validator;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use crate::namespace::workspace;

/// A signed-in or strange client.
#[derive(Debug)]
pub struct WsClient {
    socket: WebSocket<TcpStream>,
}

/// The published schema of all frames.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
}

impl Schema {
    /// Reads the schema the project publishes.
    pub fn published() -> Self {
        let path = schema_path();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        let schema = serde_json::from_str(&text).expect("the schema is JSON");
        Self { validator: jsonschema::validator_for(&schema).expect("the schema is a schema") }
    }

    /// Panics unless a frame is as published.
    #[track_caller]
    pub fn assert_valid(&self, frame: &Value) {
        let errors: Vec<_> =
            self.validator.iter_errors(frame).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "not as published: {frame}: {errors:?}");
    }
}

/// Returns where the published schema lies.
pub fn schema_path() -> PathBuf {
    workspace().join("gateway/procom/protocol.schema.json")
}

impl WsClient {
    /// Opens a WebSocket as a page of `origin` does.
    pub fn connect(server: SocketAddr, origin: &str) -> Result<Self, String> {
        let mut request =
            format!("ws://{server}/procom").into_client_request().map_err(|why| why.to_string())?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("procom.v1"));
        let origin = HeaderValue::from_str(origin).map_err(|why| why.to_string())?;
        headers.insert("origin", origin);
        let stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))
            .map_err(|why| why.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|why| why.to_string())?;
        let (socket, _) = tungstenite::client(request, stream).map_err(|why| why.to_string())?;
        Ok(Self { socket })
    }

    /// Opens a WebSocket and signs in; returns the answer too.
    pub fn sign_in(
        server: SocketAddr,
        user: &str,
        password: &str,
    ) -> Result<(Self, Value), String> {
        let mut client = Self::connect(server, &format!("http://{server}"))?;
        client.send(&json!({"type": "hello", "version": 1, "user": user, "password": password}));
        let answer = client.receive(Duration::from_secs(10)).ok_or("no answer to hello")?;
        Ok((client, answer))
    }

    /// Opens a WebSocket and signs in as a device with a name; returns the answer too.
    pub fn sign_in_as(
        server: SocketAddr,
        user: &str,
        password: &str,
        device: &str,
    ) -> Result<(Self, Value), String> {
        let mut client = Self::connect(server, &format!("http://{server}"))?;
        let hello = json!({"type": "hello", "version": 1, "user": user, "password": password,
                           "device": device});
        client.send(&hello);
        let answer = client.receive(Duration::from_secs(10)).ok_or("no answer to hello")?;
        Ok((client, answer))
    }

    /// Closes as a page that goes away does, and waits until the server has heard of it.
    pub fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Away, reason: "".into() };
        let _ = self.socket.close(Some(frame));
        while self.socket.read().is_ok() {}
    }

    /// Sends an object; a closed socket is no failure of the sender.
    pub fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string());
    }

    /// Sends a text frame of any content.
    pub fn send_text(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text));
    }

    /// Sends a binary frame.
    pub fn send_binary(&mut self, bytes: &[u8]) {
        let _ = self.socket.send(Message::binary(bytes.to_vec()));
    }

    /// Writes bytes under the WebSocket, where frames should be.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.socket.get_mut().write_all(bytes);
    }

    /// Returns the next object, or none when none comes in time or the socket is closed.
    pub fn receive(&mut self, within: Duration) -> Option<Value> {
        let _ = self.socket.get_ref().set_read_timeout(Some(within));
        loop {
            match self.socket.read().ok()? {
                Message::Text(text) => return serde_json::from_str(&text).ok(),
                Message::Close(_) => return None,
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Returns the next object of a type, skipping others.
    pub fn receive_type(&mut self, kind: &str, within: Duration) -> Option<Value> {
        loop {
            let frame = self.receive(within)?;
            if frame["type"] == kind {
                return Some(frame);
            }
        }
    }

    /// Waits for the gateway to close and returns its close code.
    pub fn close_code(&mut self, within: Duration) -> Option<u16> {
        let _ = self.socket.get_ref().set_read_timeout(Some(within));
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

/// Sends an upgrade request as written and returns the status line's code, if one comes.
pub fn upgrade(server: SocketAddr, request: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(15))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = [0_u8; 512];
    let length = stream.read(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer[..length]).into_owned();
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}
