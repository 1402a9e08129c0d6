//! A bare SIP sender for tests that attack: whatever bytes, over UDP, TCP or TLS, and whatever
//! comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// One flow to a SIP listener.
#[derive(Debug)]
pub enum SipClient {
    /// Datagrams from one port.
    Udp(UdpSocket),
    /// One connection.
    Tcp(TcpStream),
    /// One connection under TLS; the certificate is not checked.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl SipClient {
    /// Opens a flow of datagrams.
    pub fn udp(server: SocketAddr) -> Self {
        Self::udp_from(server.ip(), server)
    }

    /// Opens a flow of datagrams from a port of this address of ours.
    pub fn udp_from(ip: IpAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("loopback has free ports");
        socket.connect(server).expect("loopback is reachable");
        Self::Udp(socket)
    }

    /// Opens a TCP connection.
    pub fn tcp(server: SocketAddr) -> std::io::Result<Self> {
        TcpStream::connect_timeout(&server, Duration::from_secs(5)).map(Self::Tcp)
    }

    /// Opens a TLS connection; the handshake is made with the first bytes.
    pub fn tls(server: SocketAddr) -> std::io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring does TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAll(provider)))
            .with_no_client_auth();
        let name = ServerName::IpAddress(server.ip().into());
        let connection =
            ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
        let stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    /// Returns our own address.
    pub fn local(&self) -> SocketAddr {
        self.local_if_open().expect("an open socket has an address")
    }

    /// Returns our own address while the socket has one.
    pub fn local_if_open(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr().ok(),
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Tls(stream) => stream.sock.local_addr().ok(),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(bytes).map(|_| ()),
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Returns what comes back within the time: one datagram, or one read of a stream; empty when
    /// nothing came or the other side has closed.
    pub fn receive(&mut self, within: Duration) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let length = match self {
            Self::Udp(socket) => {
                let _ = socket.set_read_timeout(Some(within));
                socket.recv(&mut buffer)
            }
            Self::Tcp(stream) => {
                let _ = stream.set_read_timeout(Some(within));
                stream.read(&mut buffer)
            }
            Self::Tls(stream) => {
                let _ = stream.sock.set_read_timeout(Some(within));
                stream.read(&mut buffer)
            }
        };
        buffer.truncate(length.unwrap_or(0));
        buffer
    }

    /// Returns what comes back on a stream within the time, empty when nothing came.
    ///
    /// # Errors
    /// The other side has closed, or the connection is lost.
    pub fn read_on(&mut self, within: Duration) -> std::io::Result<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let read = match self {
            Self::Udp(socket) => {
                socket.set_read_timeout(Some(within))?;
                socket.recv(&mut buffer)
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(within))?;
                stream.read(&mut buffer)
            }
            Self::Tls(stream) => {
                stream.sock.set_read_timeout(Some(within))?;
                stream.read(&mut buffer)
            }
        };
        match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                buffer.truncate(length);
                Ok(buffer)
            }
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(Vec::new())
            }
            Err(why) => Err(why),
        }
    }

    /// Sends a request and returns the status code of the first answer that is not 100.
    pub fn ask(&mut self, request: &str, within: Duration) -> Option<u16> {
        self.send(request.as_bytes()).ok()?;
        loop {
            let answer = self.receive(within);
            let code = status(&answer)?;
            if code != 100 {
                return Some(code);
            }
        }
    }
}

/// Returns the status code of a SIP response.
pub fn status(response: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(response.get(..12)?).ok()?;
    text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// Returns a request with the headers every request has; `lines` are further header lines, each
/// ended by CRLF.
pub fn request(method: &str, uri: &str, local: SocketAddr, call_id: &str, lines: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}{method};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:stranger@{local}>;tag=f{call_id}\r\n\
         To: <{uri}>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: 1 {method}\r\n\
         Contact: <sip:stranger@{local}>\r\n\
         {lines}Content-Length: 0\r\n\r\n"
    )
}

/// How many bytes a [`short_request`] has.
pub const SHORT_REQUEST_BYTES: usize = 171;

/// Returns a request without anything that a server could do without, told from others by its
/// number. All have [`SHORT_REQUEST_BYTES`] bytes.
pub fn short_request(method: &str, local: SocketAddr, number: u64) -> String {
    // A BYE names a dialog; there is none.
    let tag = if method == "BYE" { ";tag=9" } else { "" };
    let with = |call_id: &str| {
        format!(
            "{method} sip:a@b SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{number};rport\r\n\
             From: <sip:c@d>;tag={number}\r\nTo: <sip:a@b>{tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 {method}\r\n\r\n"
        )
    };
    let room = SHORT_REQUEST_BYTES.saturating_sub(with("").len());
    with(&format!("{number:0>room$}"))
}

/// An attacker does not care whom it talks to.
#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_requests_have_the_bytes_they_are_said_to_have() {
        let local = SocketAddr::from(([127, 0, 0, 66], 40_000));
        for method in ["INVITE", "REGISTER", "MESSAGE", "OPTIONS", "BYE"] {
            for number in [0, 7, 89_999] {
                let text = short_request(method, local, number);
                assert_eq!(text.len(), SHORT_REQUEST_BYTES, "{text}");
            }
        }
    }
}
