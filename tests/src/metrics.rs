//! Reads `/metrics` of a running gateway (Prometheus text exposition format) and `/health`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One line: name, labels as written, value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// With any prefix the gateway gives it.
    pub name: String,
    /// What stands between the braces.
    pub labels: String,
    /// The value.
    pub value: f64,
}

/// All samples of one moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

impl Metrics {
    /// Parses the text format; comments and odd lines are left out.
    pub fn parse(text: &str) -> Self {
        Self { samples: text.lines().filter_map(parse_line).collect() }
    }

    /// Returns the sum of all samples of a metric, whatever their labels. The name is compared at
    /// its end, so that a common prefix of the gateway's names need not be repeated in tests.
    pub fn sum(&self, name: &str) -> f64 {
        self.of(name).map(|sample| sample.value).sum()
    }

    /// Returns the sum of the samples of a metric whose labels hold `label`, e.g. `cause="busy"`.
    pub fn sum_where(&self, name: &str, label: &str) -> f64 {
        self.of(name)
            .filter(|sample| sample.labels.contains(label))
            .map(|sample| sample.value)
            .sum()
    }

    /// Returns all samples of a metric.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample
                .name
                .strip_suffix(name)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
        })
    }
}

/// Asks an HTTP server for a path and returns status and body.
pub fn get(server: SocketAddr, path: &str, token: Option<&str>) -> Result<(u16, String), String> {
    let io = |why: std::io::Error| format!("{server}{path}: {why}");
    let mut stream = TcpStream::connect(server).map_err(io)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(io)?;
    let authorization =
        token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {server}\r\n{authorization}Connection: close\r\n\r\n"
    )
    .map_err(io)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(io)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or("an answer without an end of headers")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunk(body) } else { body.to_owned() };
    Ok((status.ok_or("an answer without a status")?, body))
}

/// RFC 9112 §7.1.
fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        let Some(chunk) = rest.get(..size).filter(|_| size > 0) else { break };
        whole.push_str(chunk);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

fn parse_line(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    Some(Sample {
        name: name.into(),
        labels: labels.trim_end_matches('}').into(),
        value: value.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP legs_active now\n\
        procom_legs_active{trunk=\"sip\"} 2\nprocom_legs_active{trunk=\"procom\"} 1\n\
        procom_legs_active_max 9\nlegs_total{cause=\"busy\",trunk=\"sip\"} 4\n";

    #[test]
    fn samples_are_summed_over_labels_and_by_whole_name() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.sum("legs_active"), 3.0);
        assert_eq!(metrics.sum_where("legs_total", "cause=\"busy\""), 4.0);
        assert_eq!(metrics.sum("unknown"), 0.0);
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        assert_eq!(unchunk("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde");
    }
}
