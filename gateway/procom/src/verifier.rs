//! A thread that verifies passwords, one at a time: a shell around [`Accounts::verify`].
//!
//! ```text
//!            known owners --+
//! adapter --ask            +--first those--> thread --verdict--> adapter
//!  (never waits)  strangers --+
//! ```
//!
//! One thread, so that guessing takes one core at most and the media keeps the others; its memory is
//! taken once, so that guessing takes no more of that either. Strangers have a queue of their own:
//! however many guess, an owner that signed in from there before waits for one password at most.

use std::sync::Arc;
use std::thread;

use gateway_adapter::AdapterFailed;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::accounts::Accounts;
use crate::hub::{Turn, Verdict};
use crate::secret::Secret;
use crate::session::SocketId;

/// How many passwords may wait in each queue.
const WAITING: usize = 64;

struct Question {
    socket: SocketId,
    name: String,
    password: Secret,
}

/// Asks for passwords to be verified.
pub(crate) struct Verifier {
    known: mpsc::Sender<Question>,
    strangers: mpsc::Sender<Question>,
    verdicts: mpsc::Receiver<(SocketId, Verdict)>,
}

/// What waits.
struct Waiting {
    known: mpsc::Receiver<Question>,
    strangers: mpsc::Receiver<Question>,
}

impl Waiting {
    /// The next question, those of known owners first; `None` when no more can come.
    async fn next(&mut self) -> Option<Question> {
        tokio::select! {
            biased;
            Some(question) = self.known.recv() => Some(question),
            Some(question) = self.strangers.recv() => Some(question),
            else => None,
        }
    }
}

impl Verifier {
    /// Starts the thread; it ends with this.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(accounts: Arc<Accounts>) -> Result<Self, AdapterFailed> {
        let fault = |why| AdapterFailed::new("start the thread for passwords", why);
        let (known, of_known) = mpsc::channel(WAITING);
        let (strangers, of_strangers) = mpsc::channel(WAITING);
        let (told, verdicts) = mpsc::channel(2 * WAITING);
        let waiting = Waiting { known: of_known, strangers: of_strangers };
        let runtime = Builder::new_current_thread().build().map_err(fault)?;
        thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || runtime.block_on(work(&accounts, waiting, told)))
            .map_err(fault)?;
        Ok(Self { known, strangers, verdicts })
    }

    /// Asks; false if too many wait.
    pub(crate) fn ask(&self, socket: SocketId, name: String, password: Secret, turn: Turn) -> bool {
        let queue = match turn {
            Turn::Known => &self.known,
            Turn::Stranger => &self.strangers,
        };
        queue.try_send(Question { socket, name, password }).is_ok()
    }

    /// The next verdict. May be dropped between polls without loss.
    pub(crate) async fn next(&mut self) -> Option<(SocketId, Verdict)> {
        self.verdicts.recv().await
    }
}

/// Nothing else runs on this thread, so a password may take its time.
async fn work(accounts: &Accounts, mut waiting: Waiting, told: mpsc::Sender<(SocketId, Verdict)>) {
    let mut memory = accounts.memory();
    while let Some(Question { socket, name, password }) = waiting.next().await {
        let verified = accounts.verify(&name, &password, &mut memory);
        let verdict = verified.map_or(Verdict::Wrong, Verdict::Right);
        if told.send((socket, verdict)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_owner_that_is_known_does_not_wait_behind_strangers() {
        let (known, of_known) = mpsc::channel(WAITING);
        let (strangers, of_strangers) = mpsc::channel(WAITING);
        let mut waiting = Waiting { known: of_known, strangers: of_strangers };
        let question = |socket| Question {
            socket: SocketId(socket),
            name: String::new(),
            password: Secret::from("x"),
        };
        for socket in 0..WAITING as u64 {
            assert!(strangers.try_send(question(socket)).is_ok());
        }
        assert!(strangers.try_send(question(90)).is_err(), "their queue is full");
        assert!(known.try_send(question(91)).is_ok(), "that of the owner is not");
        assert_eq!(waiting.next().await.map(|first| first.socket), Some(SocketId(91)));
        assert_eq!(waiting.next().await.map(|second| second.socket), Some(SocketId(0)));
        drop((known, strangers));
        assert!(waiting.next().await.is_some(), "what waits is still looked at");
    }
}
