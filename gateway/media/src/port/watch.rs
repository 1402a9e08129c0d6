//! Whether anything is heard of the peer: sound for [`MediaEvent::Quiet`], anything for [`MediaEvent::Lost`].
//!
//! ```text
//!              expected and none for quiet_after            a packet
//!  listening ------------------------------------> quiet ------------> listening
//!              nothing at all for lost_after
//!            ------------------------------------> lost   (told once)
//! ```

use std::hint::black_box;
use std::time::Instant;

use gateway_core::ids::PortId;
use gateway_core::media::MediaEvent;

use super::Settings;

/// When the peer was heard, and since when that is expected.
#[derive(Debug, Default)]
pub(super) struct Watch {
    life_at: Option<Instant>,
    sound_at: Option<Instant>,
    life_expected_since: Option<Instant>,
    sound_expected_since: Option<Instant>,
    is_quiet: bool,
    is_lost: bool,
}

impl Watch {
    /// Says whether life and sound are to be expected from now on.
    pub(super) fn expect(&mut self, life: bool, sound: bool, now: Instant) {
        let since = |since: Option<Instant>, expected: bool| {
            if expected { since.or(Some(now)) } else { None }
        };
        self.life_expected_since = since(self.life_expected_since, life);
        self.sound_expected_since = since(self.sound_expected_since, sound);
    }

    /// See [`super::touch`].
    #[inline]
    pub(super) fn touch(&self) {
        black_box((self.life_at, self.is_lost));
    }

    /// Anything proven came: RTCP, a connectivity check.
    pub(super) fn note_life(&mut self, now: Instant) {
        self.life_at = Some(now);
        self.is_lost = false;
    }

    /// Sound came. True if that was missed before.
    pub(super) fn note_sound(&mut self, now: Instant) -> bool {
        self.note_life(now);
        self.sound_at = Some(now);
        std::mem::take(&mut self.is_quiet)
    }

    pub(super) fn handle_timeout(
        &mut self,
        id: PortId,
        settings: &Settings,
        now: Instant,
    ) -> Vec<MediaEvent> {
        let mut events = Vec::new();
        if let Some(since) = self.quiet_since()
            && since + settings.quiet_after <= now
        {
            self.is_quiet = true;
            events.push(MediaEvent::Quiet(id, now.saturating_duration_since(since)));
        }
        if let Some(since) = self.silent_since()
            && since + settings.lost_after <= now
        {
            self.is_lost = true;
            events.push(MediaEvent::Lost(id));
        }
        events
    }

    pub(super) fn poll_timeout(&self, settings: &Settings) -> Option<Instant> {
        let quiet = self.quiet_since().map(|since| since + settings.quiet_after);
        let lost = self.silent_since().map(|since| since + settings.lost_after);
        [quiet, lost].into_iter().flatten().min()
    }

    /// Since when sound is missed, if it is to be told.
    fn quiet_since(&self) -> Option<Instant> {
        let since = self.sound_expected_since.filter(|_| !self.is_quiet)?;
        Some(self.sound_at.map_or(since, |at| at.max(since)))
    }

    fn silent_since(&self) -> Option<Instant> {
        let since = self.life_expected_since.filter(|_| !self.is_lost)?;
        Some(self.life_at.map_or(since, |at| at.max(since)))
    }
}
