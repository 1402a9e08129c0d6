//! sipp: many plain calls at once, with media.

use std::net::SocketAddr;
use std::time::Duration;

use crate::namespace::{Net, command, workspace};
use crate::process::Process;
use crate::tone::tone;

/// A load of calls that all live at the same time.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where the calls go.
    pub target: SocketAddr,
    /// The user part they dial.
    pub user: String,
    /// How many calls.
    pub calls: u32,
    /// How many are begun a second.
    pub rate: u32,
    /// How long each is held.
    pub held: Duration,
}

/// A running sipp.
#[derive(Debug)]
pub struct Sipp {
    process: Process,
}

impl Sipp {
    /// Where its calls come from.
    pub const ADDRESS: &str = "127.0.0.9";
    /// The SIP user it calls as, and its password.
    pub const USER: (&str, &str) = ("load", "password-of-the-load");

    /// Starts the load; each call plays a tone as PCMU for as long as it is held.
    pub fn start(net: &Net, load: &Load) -> Self {
        let folder = net.folder("sipp");
        let sound = folder.join("tone.ul");
        net.write(&sound, ulaw_tone(load.held));
        let scenario = net.write(folder.join("call.xml"), scenario(load.held, &sound));
        let mut program = command("sipp");
        program.current_dir(&folder).arg("-sf").arg(scenario).arg(load.target.to_string());
        program.args(["-s", &load.user, "-nostdin", "-au", Self::USER.0, "-ap", Self::USER.1]);
        program.args(["-i", Self::ADDRESS, "-p", "5990", "-mi", Self::ADDRESS]);
        let calls = load.calls.to_string();
        program.args(["-m", &calls, "-l", &calls, "-r", &load.rate.to_string()]);
        program.args(["-trace_err", "-trace_stat", "-fd", "5"]);
        Self { process: Process::start(net, "sipp", &mut program) }
    }

    /// Waits for the end of all calls; panics if one failed.
    #[track_caller]
    pub fn wait_all_well(&mut self, within: Duration) {
        let status = self.process.ends_within(within);
        let status = status.unwrap_or_else(|| panic!("sipp is not done within {within:?}"));
        assert!(status.success(), "sipp lost calls ({status}):\n{}", self.process.output());
    }
}

fn scenario(held: Duration, sound: &std::path::Path) -> String {
    let file = workspace().join("tests/interop/peers/sipp_call.xml");
    let template = std::fs::read_to_string(file).expect("the scenario is part of the project");
    template
        .replace("@HELD_MS@", &held.as_millis().to_string())
        .replace("@SOUND@", &sound.display().to_string())
}

/// PCMU needs the nearest code word; a table over all 256 is quick enough for a minute of sound.
fn ulaw_tone(length: Duration) -> Vec<u8> {
    let values: Vec<f32> =
        (0..=255).map(|byte| crate::wav::Sound::from_ulaw(&[byte]).samples[0]).collect();
    let second: Vec<u8> = tone(660, 8_000, 1.0)
        .samples
        .iter()
        .map(|sample| {
            (0..=255_u8)
                .min_by(|one, other| {
                    let far = |byte: &u8| (values[usize::from(*byte)] - sample).abs();
                    far(one).total_cmp(&far(other))
                })
                .expect("256 code words")
        })
        .collect();
    second.repeat(usize::try_from(length.as_secs() + 1).expect("minutes"))
}
