//! The three words of the connection, and two more: what is known of the way to the server.
//!
//! `offline` is believed at once; `online` only starts a probe, shown as *reconnecting*.
//! *Connected* means that the live channel is ready and its far end answered lately.

/// Failed attempts in a row after which it is no longer a blip.
const BLIP_ATTEMPTS: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    Connecting,
    Connected,
    Reconnecting,
    Disconnected,
    NeedsAuth,
}

impl ConnectionStatus {
    const ALL: [ConnectionStatus; 5] = [
        ConnectionStatus::Connecting,
        ConnectionStatus::Connected,
        ConnectionStatus::Reconnecting,
        ConnectionStatus::Disconnected,
        ConnectionStatus::NeedsAuth,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ConnectionStatus::Connecting => "connecting",
            ConnectionStatus::Connected => "connected",
            ConnectionStatus::Reconnecting => "reconnecting",
            ConnectionStatus::Disconnected => "disconnected",
            ConnectionStatus::NeedsAuth => "needs_auth",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

#[derive(Debug, Clone)]
pub struct Health {
    online: bool,
    /// The live channel has both its ready signals.
    ready: bool,
    was_ready: bool,
    failures: u32,
    /// Requests are answered, whatever the live channel does.
    reached: bool,
    needs_auth: bool,
}

impl Health {
    pub fn new(online: bool) -> Self {
        Self { online, ready: false, was_ready: false, failures: 0, reached: false, needs_auth: false }
    }

    pub fn set_online(&mut self, online: bool) {
        self.online = online;
        self.failures = 0;
        if !online {
            self.ready = false;
        }
    }

    /// What the browser says; only *offline* is to be believed.
    pub fn is_online(&self) -> bool {
        self.online
    }

    pub fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
        if ready {
            self.was_ready = true;
            self.failures = 0;
        }
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Another tab was connected for this one.
    pub fn note_connected(&mut self) {
        self.was_ready = true;
    }

    /// An attempt to connect has failed, the `failures`th in a row.
    pub fn set_failures(&mut self, failures: u32) {
        self.failures = failures;
    }

    pub fn set_reached(&mut self, reached: bool) {
        self.reached = reached;
    }

    /// The live channel is refused or done without: whatever comes now is another attempt.
    pub fn note_retrying(&mut self) {
        self.was_ready = true;
    }

    pub fn set_needs_auth(&mut self, needs_auth: bool) {
        self.needs_auth = needs_auth;
    }

    pub fn status(&self) -> ConnectionStatus {
        if self.needs_auth {
            ConnectionStatus::NeedsAuth
        } else if !self.online {
            ConnectionStatus::Disconnected
        } else if self.ready {
            ConnectionStatus::Connected
        } else if self.failures >= BLIP_ATTEMPTS && !self.reached {
            ConnectionStatus::Disconnected
        } else if self.was_ready || self.failures >= BLIP_ATTEMPTS {
            ConnectionStatus::Reconnecting
        } else {
            ConnectionStatus::Connecting
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_connecting_until_it_was_connected_once_and_reconnecting_from_then_on() {
        let mut health = Health::new(true);
        assert_eq!(health.status(), ConnectionStatus::Connecting);
        health.set_ready(true);
        assert_eq!(health.status(), ConnectionStatus::Connected);
        health.set_ready(false);
        assert_eq!(health.status(), ConnectionStatus::Reconnecting);
    }

    #[test]
    fn offline_is_believed_at_once_and_online_only_starts_a_probe() {
        let mut health = Health::new(true);
        health.set_ready(true);
        health.set_online(false);
        assert_eq!(health.status(), ConnectionStatus::Disconnected);
        health.set_online(true);
        assert_eq!(health.status(), ConnectionStatus::Reconnecting);
    }

    #[test]
    fn after_three_failures_it_is_disconnected_and_stays_so_while_it_tries_on() {
        let mut health = Health::new(true);
        health.set_ready(true);
        health.set_ready(false);
        health.set_failures(2);
        assert_eq!(health.status(), ConnectionStatus::Reconnecting);
        health.set_failures(3);
        assert_eq!(health.status(), ConnectionStatus::Disconnected);
        health.set_ready(true);
        assert_eq!(health.status(), ConnectionStatus::Connected);
    }

    #[test]
    fn while_the_server_answers_requests_it_is_reconnecting_however_often_it_failed() {
        let mut health = Health::new(true);
        health.set_failures(7);
        assert_eq!(health.status(), ConnectionStatus::Disconnected);
        health.set_reached(true);
        assert_eq!(health.status(), ConnectionStatus::Reconnecting);
        health.set_online(false);
        assert_eq!(health.status(), ConnectionStatus::Disconnected);
    }

    #[test]
    fn every_status_is_read_as_it_is_spelled() {
        for status in ConnectionStatus::ALL {
            assert_eq!(ConnectionStatus::parse(status.as_str()), Some(status));
        }
    }
}
