//! Clients that send too much, too little, or nothing that makes sense.

use super::*;

#[tokio::test]
async fn frames_that_are_too_large_binary_or_not_utf_8_are_refused() {
    let edge = start();
    let (mut socket, _) = edge.sign_in().await;
    let large = json!({"type": "hold", "call": "c1", "note": "x".repeat(70_000)});
    say(&mut socket, &large.to_string()).await;
    assert_eq!(hear(&mut socket).await["code"], "too-large");
    socket.send(Message::binary(vec![0, 1, 2])).await.unwrap();
    assert_eq!(hear(&mut socket).await["code"], "malformed");
    let huge = "x".repeat(200_000);
    let _ = socket.send(Message::text(huge)).await;
    let code = close_code(&mut socket).await;
    assert!(code.is_none() || code == Some(1009), "{code:?}");
}

#[tokio::test]
async fn a_client_that_keeps_sending_garbage_is_disconnected_and_no_other() {
    let mut edge = start();
    let (mut good, _) = edge.sign_in().await;
    say(&mut good, &call("c1", "procom:echo")).await;
    let (leg, _) = edge.leg_event().await;
    let (mut bad, welcome) = edge.sign_in().await;
    for _ in 0..30 {
        let _ = bad.send(Message::text("{]")).await;
    }
    assert_eq!(close_code(&mut bad).await, Some(1008));
    let mut bad = edge.connect().await;
    say(&mut bad, &resume(&welcome, 0)).await;
    assert_eq!(hear(&mut bad).await["code"], "resume-expired");
    edge.outlet.send(leg, LegCommand::Ring);
    assert_eq!(hear(&mut good).await["type"], "ringing");
}

#[tokio::test]
async fn a_flood_of_frames_is_read_no_faster_than_allowed() {
    let limits = Limits { frames_per_second: 10, ..Limits::default() };
    let edge = start_with(ProcomConfig { limits, ..plain() }, Pace::default(), &Folder::new());
    let (mut socket, _) = edge.sign_in().await;
    let began = Instant::now();
    for _ in 0..50 {
        say(&mut socket, r#"{"type":"canary"}"#).await;
    }
    for _ in 0..50 {
        assert_eq!(hear(&mut socket).await["code"], "unknown-type");
    }
    let taken = began.elapsed();
    assert!(taken > Duration::from_millis(800), "{taken:?}");
}

#[tokio::test]
async fn a_client_that_answers_no_ping_loses_its_socket_and_not_its_session() {
    let pace = Pace {
        ping: Duration::from_millis(100),
        pong: Duration::from_millis(200),
        ..Pace::default()
    };
    let edge = start_with(plain(), pace, &Folder::new());
    let (mut socket, welcome) = edge.sign_in().await;
    // Nothing is read from the socket, so no pong is written.
    sleep(Duration::from_millis(600)).await;
    let ended = timeout(Duration::from_secs(2), async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                return;
            }
        }
    });
    ended.await.expect("closed");
    let mut socket = edge.connect().await;
    say(&mut socket, &resume(&welcome, 0)).await;
    assert_eq!(hear(&mut socket).await["resumed"], true);
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_nobody_up() {
    let pace = Pace { write: Duration::from_millis(300), ..Pace::default() };
    let limits = Limits { frames_per_second: 100_000, ..Limits::default() };
    let mut edge = start_with(ProcomConfig { limits, ..plain() }, pace, &Folder::new());
    let (mut good, _) = edge.sign_in().await;
    say(&mut good, &call("c1", "procom:echo")).await;
    let (leg, _) = edge.leg_event().await;
    let (mut bad, _) = edge.sign_in().await;
    let long = format!(r#"{{"type":"{}"}}"#, "y".repeat(60_000));
    let flood = tokio::spawn(async move {
        while bad.feed(Message::text(long.as_str())).await.is_ok() && bad.flush().await.is_ok() {}
    });
    for _ in 0..20 {
        sleep(Duration::from_millis(20)).await;
        edge.outlet.send(leg, LegCommand::Held);
        let began = Instant::now();
        assert_eq!(hear(&mut good).await["type"], "held");
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    }
    flood.abort();
}

#[tokio::test]
async fn random_bytes_on_many_connections_leave_the_edge_up() {
    let edge = start();
    let (mut socket, _) = edge.sign_in().await;
    for seed in 0..60_u32 {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let bytes: Vec<u8> = (0..2000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        let _ = stream.write_all(&bytes).await;
    }
    say(&mut socket, r#"{"type":"canary"}"#).await;
    assert_eq!(hear(&mut socket).await["code"], "unknown-type");
}
