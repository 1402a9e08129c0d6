//! Zones for tests: answers written as they stand in a zone file.

use super::{Answer, Answers, Failure, Kind, Naptr, Proof, Question, Record, Srv};

/// Answers by their questions; what is not in it is not there.
#[derive(Clone, Default)]
pub(crate) struct Zone {
    pub(crate) answers: Answers,
}

impl Zone {
    /// `name type data` a line; `name type !failure` for what fails.
    pub(crate) fn new(text: &str) -> Self {
        let mut zone = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, rest) = line.split_once(' ').unwrap();
            let (kind, data) = rest.trim().split_once(' ').unwrap();
            let kind = [Kind::Naptr, Kind::Srv, Kind::A, Kind::Aaaa]
                .into_iter()
                .find(|known| known.as_str() == kind)
                .unwrap();
            zone.add(name, kind, data.trim());
        }
        zone
    }

    fn add(&mut self, name: &str, kind: Kind, data: &str) {
        let question = Question { name: name.into(), kind };
        let failure = match data {
            "!bogus" => Some(Failure::Bogus),
            "!servfail" => Some(Failure::ServFail),
            "!timeout" => Some(Failure::Timeout),
            _ => None,
        };
        if let Some(failure) = failure {
            self.answers.insert(question, Answer::Failed(failure));
            return;
        }
        let record = record(kind, data);
        let empty = Answer::Found {
            records: Vec::new(),
            ttl_s: 60,
            proof: Proof::Insecure,
            is_stale: false,
        };
        match self.answers.entry(question).or_insert(empty) {
            Answer::Found { records, .. } => records.push(record),
            Answer::Nothing { .. } | Answer::Failed(_) => panic!("{data} after a failure"),
        }
    }

    /// Runs a look-up to its end; how many rounds of questions it took comes too.
    pub(crate) fn run<T>(&self, step: impl Fn(&Answers) -> Result<T, Vec<Question>>) -> (T, usize) {
        let mut answers = Answers::new();
        for round in 0.. {
            let questions = match step(&answers) {
                Ok(done) => return (done, round),
                Err(questions) => questions,
            };
            assert!(!questions.is_empty(), "waits for nothing");
            for question in questions {
                let nothing =
                    Answer::Nothing { ttl_s: 60, proof: Proof::Insecure, is_stale: false };
                let answer = self.answers.get(&question).cloned().unwrap_or(nothing);
                assert!(answers.insert(question, answer).is_none(), "asked twice");
            }
        }
        unreachable!("rounds do not end")
    }
}

fn record(kind: Kind, data: &str) -> Record {
    let words: Vec<&str> = data.split_whitespace().collect();
    let host = |word: &str| word.trim_end_matches('.').to_owned();
    let text = |word: &str| word.trim_matches('"').to_owned();
    match kind {
        Kind::A => Record::A(data.parse().unwrap()),
        Kind::Aaaa => Record::Aaaa(data.parse().unwrap()),
        Kind::Srv => Record::Srv(Srv {
            priority: words[0].parse().unwrap(),
            weight: words[1].parse().unwrap(),
            port: words[2].parse().unwrap(),
            target: host(words[3]),
        }),
        Kind::Naptr => Record::Naptr(Naptr {
            order: words[0].parse().unwrap(),
            preference: words[1].parse().unwrap(),
            flags: text(words[2]),
            services: text(words[3]),
            regexp: text(words[4]),
            replacement: host(words[5]),
        }),
    }
}
