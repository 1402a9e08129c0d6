//! A thread that verifies passwords, one at a time: a shell around [`Accounts::verify`].
//!
//! ```text
//! adapter --ask (never waits)--> thread --verdict--> adapter
//! ```
//!
//! One thread, so that guessing takes one core at most and the media keeps the others; its memory is
//! taken once, so that guessing takes no more of that either.

use std::sync::Arc;
use std::thread;

use gateway_adapter::AdapterFailed;
use tokio::sync::mpsc;

use crate::accounts::Accounts;
use crate::hub::Verdict;
use crate::secret::Secret;
use crate::session::SocketId;

/// How many passwords may wait.
const WAITING: usize = 64;

struct Question {
    socket: SocketId,
    name: String,
    password: Secret,
}

/// Asks for passwords to be verified.
pub(crate) struct Verifier {
    questions: mpsc::Sender<Question>,
    verdicts: mpsc::Receiver<(SocketId, Verdict)>,
}

impl Verifier {
    /// Starts the thread; it ends with this.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(accounts: Arc<Accounts>) -> Result<Self, AdapterFailed> {
        let (questions, mut asked) = mpsc::channel::<Question>(WAITING);
        let (told, verdicts) = mpsc::channel(WAITING);
        let work = move || {
            let mut memory = accounts.memory();
            while let Some(Question { socket, name, password }) = asked.blocking_recv() {
                let verified = accounts.verify(&name, &password, &mut memory);
                let verdict = verified.map_or(Verdict::Wrong, Verdict::Right);
                if told.blocking_send((socket, verdict)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(work)
            .map_err(|why| AdapterFailed::new("start the thread for passwords", why))?;
        Ok(Self { questions, verdicts })
    }

    /// Asks; false if too many wait.
    pub(crate) fn ask(&self, socket: SocketId, name: String, password: Secret) -> bool {
        self.questions.try_send(Question { socket, name, password }).is_ok()
    }

    /// The next verdict. May be dropped between polls without loss.
    pub(crate) async fn next(&mut self) -> Option<(SocketId, Verdict)> {
        self.verdicts.recv().await
    }
}
