//! The sockets, on loopback: what arrives, what is refused, and how long patience lasts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "sockets need real time")]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use adapter_sip::stack::flow::{Target, Transmit, Transport};
use adapter_sip::stack::transaction::TransactionId;
use adapter_sip::stack::transport::{Arrival, Settings, Transports};
use bytes::Bytes;
use gateway_core::reachable::Obstacle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const MESSAGE: &[u8] = b"OPTIONS sip:gw SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bK1\r\n\
    From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn bound(transports: &Transports, transport: Transport) -> SocketAddr {
    let all = transports.listening();
    all.iter().find(|(kind, _)| *kind == transport).map(|(_, address)| *address).unwrap()
}

async fn next(transports: &mut Transports) -> Arrival {
    timeout(Duration::from_secs(5), transports.next()).await.expect("an arrival in time")
}

/// A certificate for `localhost` in files, and the files.
fn certificate(directory: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let directory = std::env::temp_dir().join(format!("{directory}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::File::create(&certificate).unwrap().write_all(made.cert.pem().as_bytes()).unwrap();
    let pem = made.signing_key.serialize_pem();
    std::fs::File::create(&key).unwrap().write_all(pem.as_bytes()).unwrap();
    (certificate, key)
}

#[tokio::test]
async fn datagrams_arrive_and_leave_by_the_socket_they_came_to() {
    let settings = Settings { udp: vec![any()], ..Settings::default() };
    let mut transports = Transports::bind(settings).unwrap();
    let peer = UdpSocket::bind(any()).await.unwrap();
    let ours = bound(&transports, Transport::Udp);
    peer.send_to(b"\r\n\r\n", ours).await.unwrap();
    peer.send_to(MESSAGE, ours).await.unwrap();
    let Arrival::Message(flow, bytes) = next(&mut transports).await else { panic!("no message") };
    assert_eq!((bytes.as_ref(), flow.remote), (MESSAGE, peer.local_addr().unwrap()));
    transports.send(Transmit {
        target: flow.into(),
        bytes: Bytes::from_static(b"answer"),
        transaction: None,
    });
    let mut buffer = [0; 64];
    let (length, from) = peer.recv_from(&mut buffer).await.unwrap();
    assert_eq!((&buffer[..length], from), (&b"answer"[..], ours));
}

#[tokio::test]
async fn ipv6_is_listened_on_and_told_as_such() {
    let any: SocketAddr = "[::1]:0".parse().unwrap();
    let settings = Settings { udp: vec![any], tcp: vec![any], ..Settings::default() };
    let mut transports = Transports::bind(settings).unwrap();
    let peer = UdpSocket::bind(any).await.unwrap();
    peer.send_to(MESSAGE, bound(&transports, Transport::Udp)).await.unwrap();
    let Arrival::Message(flow, _) = next(&mut transports).await else { panic!("no message") };
    assert!(flow.remote.is_ipv6());
    let sent_by = transports.advertised().sent_by(Transport::Udp, flow.remote);
    assert!(sent_by.starts_with("[::1]:"), "{sent_by}");
}

#[tokio::test]
async fn a_connection_carries_messages_pings_and_answers() {
    let settings = Settings { tcp: vec![any()], ..Settings::default() };
    let mut transports = Transports::bind(settings).unwrap();
    let mut peer = TcpStream::connect(bound(&transports, Transport::Tcp)).await.unwrap();
    peer.write_all(&[MESSAGE, b"\r\n\r\n"].concat()).await.unwrap();
    let Arrival::Message(flow, bytes) = next(&mut transports).await else { panic!("no message") };
    assert_eq!(bytes.as_ref(), MESSAGE);
    let mut pong = [0; 2];
    let waiting = tokio::spawn(async move {
        peer.read_exact(&mut pong).await.unwrap();
        let mut answer = [0; 6];
        peer.read_exact(&mut answer).await.unwrap();
        (pong, answer)
    });
    let _ = timeout(Duration::from_millis(200), transports.next()).await;
    let bytes = Bytes::from_static(b"answer");
    transports.send(Transmit { target: flow.into(), bytes, transaction: None });
    assert_eq!(waiting.await.unwrap(), (*b"\r\n", *b"answer"));
    let Arrival::Closed(link) = next(&mut transports).await else { panic!("not closed") };
    assert_eq!((link, transports.connections()), (flow.link, 0));
}

#[tokio::test]
async fn one_source_holds_no_more_connections_than_allowed() {
    let settings =
        Settings { tcp: vec![any()], max_connections_per_source: 2, ..Settings::default() };
    let mut transports = Transports::bind(settings).unwrap();
    let ours = bound(&transports, Transport::Tcp);
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(TcpStream::connect(ours).await.unwrap());
    }
    let _ = timeout(Duration::from_millis(300), transports.next()).await;
    assert_eq!(transports.connections(), 2);
    let mut last = peers.pop().unwrap();
    assert_eq!(last.read(&mut [0; 1]).await.unwrap_or(0), 0, "the third is closed");
}

#[tokio::test]
async fn who_begins_a_message_must_end_it_in_ten_seconds() {
    let settings = Settings { tcp: vec![any()], ..Settings::default() };
    let mut transports = Transports::bind(settings).unwrap();
    let mut peer = TcpStream::connect(bound(&transports, Transport::Tcp)).await.unwrap();
    let began = Instant::now();
    peer.write_all(b"OPTIONS sip:slow").await.unwrap();
    let closed = timeout(Duration::from_secs(15), transports.next()).await.expect("in time");
    assert!(matches!(closed, Arrival::Closed(_)));
    assert!(began.elapsed() >= Duration::from_secs(9));
}

#[tokio::test]
async fn an_endless_message_is_cut_off_and_nothing_more_is_read() {
    let settings = Settings { tcp: vec![any()], ..Settings::default() };
    let mut transports = Transports::bind(settings).unwrap();
    let mut peer = TcpStream::connect(bound(&transports, Transport::Tcp)).await.unwrap();
    let endless = tokio::spawn(async move {
        let mut sent = 0;
        while peer.write_all(&[b'x'; 32 * 1024]).await.is_ok() && sent < 64 << 20 {
            sent += 32 * 1024;
        }
        sent
    });
    assert!(matches!(next(&mut transports).await, Arrival::Broken(..)));
    assert!(matches!(next(&mut transports).await, Arrival::Closed(_)));
    // What was taken is what lay in the buffers of the system.
    assert!(endless.await.unwrap() < 8 << 20);
}

#[tokio::test]
async fn what_cannot_be_delivered_is_told() {
    let mut transports = Transports::bind(Settings::default()).unwrap();
    let free = std::net::TcpListener::bind(any()).unwrap().local_addr().unwrap();
    transports.send(Transmit {
        target: Target::new(Transport::Tcp, free),
        bytes: Bytes::from_static(MESSAGE),
        transaction: Some(TransactionId(7)),
    });
    assert!(matches!(next(&mut transports).await, Arrival::Unsent(TransactionId(7))));
}

#[tokio::test]
async fn a_connection_that_was_lost_is_opened_anew_for_the_next_message() {
    let peer = tokio::net::TcpListener::bind(any()).await.unwrap();
    let mut transports = Transports::bind(Settings::default()).unwrap();
    let mut target = Target::new(Transport::Tcp, peer.local_addr().unwrap());
    for _ in 0..2 {
        let bytes = Bytes::from_static(MESSAGE);
        transports.send(Transmit { target: target.clone(), bytes, transaction: None });
        let (mut stream, _) = peer.accept().await.unwrap();
        let mut read = vec![0; MESSAGE.len()];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, MESSAGE);
        drop(stream);
        let Arrival::Closed(link) = next(&mut transports).await else { panic!("not closed") };
        target.link = Some(link);
    }
}

#[tokio::test]
async fn tls_is_spoken_with_those_whose_certificate_carries_the_name_only() {
    let (certificate, key) = certificate("sip-tls");
    let server = Settings {
        tls: vec![any()],
        certificate: Some(certificate.clone()),
        key: Some(key),
        ..Settings::default()
    };
    let mut server = Transports::bind(server).unwrap();
    let remote = bound(&server, Transport::Tls);
    let client = Settings { ca_file: Some(certificate), ..Settings::default() };
    let mut client = Transports::bind(client).unwrap();
    let to = |name: Option<&str>| Transmit {
        target: Target {
            server_name: name.map(str::to_owned),
            ..Target::new(Transport::Tls, remote)
        },
        bytes: Bytes::from_static(MESSAGE),
        transaction: Some(TransactionId(1)),
    };
    client.send(to(Some("localhost")));
    let arrival = timeout(Duration::from_secs(5), async {
        tokio::select! {
            arrival = server.next() => arrival,
            other = client.next() => panic!("client: {other:?}"),
        }
    });
    assert!(matches!(arrival.await.unwrap(), Arrival::Message(..)));
    tokio::spawn(async move {
        loop {
            server.next().await;
        }
    });
    for name in [Some("other.example"), None] {
        client.send(to(name));
        assert!(matches!(next(&mut client).await, Arrival::Unsent(TransactionId(1))), "{name:?}");
        while client.try_next().is_some() {}
    }
}

#[tokio::test]
async fn an_invite_that_nobody_takes_comes_back_at_once_and_others_are_not_touched() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let any: SocketAddr = any.parse().unwrap();
        let settings = Settings { udp: vec![any], ..Settings::default() };
        let mut transports = Transports::bind(settings).unwrap();
        let closed = UdpSocket::bind(any).await.unwrap().local_addr().unwrap();
        let peer = UdpSocket::bind(any).await.unwrap();
        // The runtime learns that a new socket can be written to.
        let _ = timeout(Duration::from_millis(100), transports.next()).await;
        let mut send = |bytes: &'static [u8], remote: SocketAddr, id: u64| {
            transports.send(Transmit {
                target: Target::new(Transport::Udp, remote),
                bytes: Bytes::from_static(bytes),
                transaction: Some(TransactionId(id)),
            });
        };
        send(b"INVITE sip:a@b SIP/2.0\r\n\r\n", peer.local_addr().unwrap(), 1);
        send(b"REGISTER sip:a@b SIP/2.0\r\n\r\n", closed, 2);
        send(b"INVITE sip:a@b SIP/2.0\r\n\r\n", closed, 3);
        send(b"INVITE sip:c@b SIP/2.0\r\n\r\n", peer.local_addr().unwrap(), 4);
        let begun = Instant::now();
        let Arrival::Unsent(id) = next(&mut transports).await else { panic!("not refused") };
        assert_eq!(id, TransactionId(3));
        assert!(begun.elapsed() < Duration::from_secs(1));
        let mut buffer = [0; 64];
        for _ in 0..2 {
            peer.recv_from(&mut buffer).await.unwrap();
        }
        peer.send_to(MESSAGE, bound(&transports, Transport::Udp)).await.unwrap();
        let arrival = next(&mut transports).await;
        assert!(matches!(arrival, Arrival::Message(..)), "the socket goes on: {arrival:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_groups_to_port_zero_or_to_ourselves() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let settings =
        Settings { udp: vec![everywhere, any()], tcp: vec![any()], ..Settings::default() };
    let mut transports = Transports::bind(settings).unwrap();
    let ports: Vec<_> = transports.listening().iter().map(|(_, bound)| bound.port()).collect();
    let forbidden = [
        (Transport::Udp, format!("127.0.0.1:{}", ports[0])),
        (Transport::Udp, format!("127.3.2.1:{}", ports[0])),
        (Transport::Udp, format!("[::ffff:127.0.0.1]:{}", ports[0])),
        (Transport::Udp, format!("127.0.0.1:{}", ports[1])),
        (Transport::Tcp, format!("127.0.0.1:{}", ports[2])),
        (Transport::Tcp, format!("[::ffff:127.0.0.1]:{}", ports[2])),
        (Transport::Udp, "127.0.0.1:0".to_owned()),
        (Transport::Udp, "0.0.0.0:5060".to_owned()),
        (Transport::Tcp, "0.0.0.0:5060".to_owned()),
        (Transport::Udp, "224.0.0.1:5060".to_owned()),
        (Transport::Udp, "255.255.255.255:5060".to_owned()),
    ];
    for (transport, remote) in forbidden {
        transports.send(Transmit {
            target: Target::new(transport, remote.parse().unwrap()),
            bytes: Bytes::from_static(MESSAGE),
            transaction: Some(TransactionId(3)),
        });
        let arrival = next(&mut transports).await;
        assert!(matches!(arrival, Arrival::Unsent(TransactionId(3))), "{remote}: {arrival:?}");
    }
    assert!(timeout(Duration::from_millis(200), transports.next()).await.is_err());
    assert_eq!(transports.connections(), 0);
}

#[tokio::test]
async fn the_sockets_know_the_addresses_of_their_host() {
    let settings = Settings { udp: vec!["0.0.0.0:0".parse().unwrap()], ..Settings::default() };
    let transports = Transports::bind(settings).unwrap();
    let reach = transports.advertised().reach();
    let ours = bound(&transports, Transport::Udp);
    for interface in nix::ifaddrs::getifaddrs().unwrap() {
        let Some(v4) = interface.address.and_then(|at| at.as_sockaddr_in().map(|at| at.ip()))
        else {
            continue;
        };
        let to = SocketAddr::new(v4.into(), ours.port());
        assert_eq!(reach.judge_always(to), Err(Obstacle::Ourselves), "{to}");
    }
}
