//! From start to shutdown: whose outbox it is, the database, the lead, and the page around it.

use super::{Closing, Command, Effect, Engine, OperationId, PageEvent, Phase, Request, delivery::list_from};
use crate::{
    json::fields,
    realtime::{self, SocketState},
    session::Missing,
    store::{Key, Operation, Reply, StoreResult, Table, Transaction},
    tabs::Role,
};

/// After a write that the database refused.
pub(super) const STORE_PAUSE_MS: u64 = 5_000;
/// How long the app may take to say who is signed in before the last one to be so is believed.
const IDENTITY_TIMEOUT_MS: u64 = 5_000;
/// A page that freezes or leaves does so sooner.
const AWAY_MS: u64 = 5_000;
const UNCOUNTED: &str = "unable to tell what is unsent; because the database could not be read";

impl Engine {
    pub(super) fn start(&mut self, remembered_user: Option<String>, visible: bool, online: bool) {
        if self.phase != Phase::New {
            return;
        }
        self.remembered_user = remembered_user;
        self.set_visible(visible && !self.config.drain_only);
        self.health.set_online(online);
        match self.config.user_id.clone() {
            Some(user_id) => self.identify(user_id),
            None => self.phase = Phase::Identifying { until: self.now.mono + IDENTITY_TIMEOUT_MS },
        }
    }

    /// Whether something waits for the app's answer to "who is signed in, and with which token?".
    pub(super) fn wants_token(&self) -> bool {
        let now = self.now.mono;
        match self.phase {
            Phase::Identifying { .. } => true,
            Phase::Running if self.closing.is_none() => {
                let leading = self.role.generation().is_some();
                let asks = self.sync.is_due(now) || self.receipt_waits() || self.asks_for_history();
                let work = (leading && self.outbox.is_due(now)) || (self.syncs() && asks);
                let missing = self.session.missing().is_some_and(|missing| missing != Missing::Failed);
                let aside = self.role == Role::Aside && self.away.is_none() && !self.is_outdated();
                (work || self.realtime_wants_token || missing || aside)
                    && self.session.token(now, &self.user_id).is_none()
            }
            _ => false,
        }
    }

    pub(super) fn on_token(&mut self, request: u64, result: Result<Option<String>, String>) {
        if !matches!(self.requests.remove(&request), Some(Request::Token)) {
            return;
        }
        let known = (!self.user_id.is_empty()).then_some(self.user_id.as_str());
        self.session.answer(self.now.mono, result.map_err(|_| ()), known);
        if let Phase::Identifying { .. } = self.phase {
            match (self.session.user_id().map(str::to_owned), self.session.missing()) {
                (Some(user_id), _) => self.identify(user_id),
                (None, Some(Missing::Failed)) => self.identify_by_memory(),
                _ => self.reject_waiting("needs_auth", "unable to send; because nobody is signed in"),
            }
        }
        let missing = self.session.missing();
        self.health.set_needs_auth(missing.is_some_and(|missing| missing != Missing::Failed));
        if matches!(missing, Some(Missing::SignedOut | Missing::OtherUser)) {
            self.step_aside();
        } else if missing.is_none() && self.role == Role::Aside && self.phase == Phase::Running {
            self.queue_for_lead();
        }
        let token = self.realtime_token();
        let wanted = std::mem::take(&mut self.realtime_wants_token);
        // A new token also forgives what the live channel refused the old one for.
        if wanted || (token.is_some() && self.role.generation().is_some()) {
            self.realtime.handle(self.now.mono, realtime::Input::Token(token));
        }
    }

    fn realtime_token(&self) -> Option<realtime::Token> {
        let token = self.session.token(self.now.mono, &self.user_id)?;
        Some(realtime::Token { jwt: token.jwt.clone(), expires_at: Some(token.expires_at) })
    }

    /// The app cannot say who is signed in, perhaps for want of a network: believe the last one.
    pub(super) fn identify_by_memory(&mut self) {
        match self.remembered_user.take() {
            Some(user_id) => self.identify(user_id),
            None => {
                self.phase = Phase::Identifying { until: u64::MAX };
                self.reject_waiting("needs_auth", "unable to send; because it is not known who is signed in");
            }
        }
    }

    fn identify(&mut self, user_id: String) {
        if self.config.user_id.is_none() {
            let key = ["surechat:user:", &self.config.url].concat();
            self.effects.push_back(Effect::RememberUser { key, user_id: user_id.clone() });
        }
        self.user_id = user_id;
        self.phase = Phase::Opening;
        self.effects.push_back(Effect::OpenStore { name: self.name() });
    }

    /// Of the database, the lock and the channel: one project, one user.
    pub(super) fn name(&self) -> String {
        let project = self.config.url.trim_start_matches(|c| c != '/').trim_start_matches('/');
        ["surechat:1:", project, ":", &self.user_id].concat()
    }

    // ---- the live channel

    pub(super) fn pump_realtime(&mut self) {
        while let Some(output) = self.realtime.poll_output() {
            match output {
                realtime::Output::NeedToken => self.realtime_wants_token = true,
                output => self.effects.push_back(Effect::Socket(output)),
            }
        }
        while let Some(event) = self.realtime.poll_event() {
            self.on_realtime(event);
        }
        if self.realtime_wants_token
            && let Some(token) = self.realtime_token()
        {
            self.realtime_wants_token = false;
            self.realtime.handle(self.now.mono, realtime::Input::Token(Some(token)));
            self.pump_realtime();
        }
    }

    fn on_realtime(&mut self, event: realtime::Event) {
        use realtime::Event;
        let now = self.now.mono;
        let Some(event) = self.on_side_event(event) else { return };
        match event {
            Event::State(SocketState::Backoff { failures, .. }) => {
                self.health.set_failures(failures);
                // Not the first time: before it counts as disconnected, requests may tell otherwise.
                if failures > 1 {
                    self.sync.poll_soon(now);
                }
            }
            Event::State(_) | Event::PresenceState { .. } | Event::PresenceDiff { .. } => {}
            Event::Change { topic, change, errors, .. } => self.on_change(&topic, &change, errors.is_empty()),
            Event::ChannelReady { topic } | Event::ChannelLost { topic } if self.is_of_table(&topic) => {
                self.table_channel_changed(&topic);
            }
            Event::ChannelReady { .. } => {
                self.health.set_ready(true);
                self.clear_problem("realtime_refused");
                self.sync.set_live(now, true);
                if self.reads_table() {
                    self.table_is_live(now);
                }
                self.sync.all_due();
                self.outbox.resume();
            }
            Event::ChannelLost { .. } => {
                self.health.set_ready(false);
                self.sync.set_live(now, false);
            }
            Event::ChannelRefused { .. } => {
                self.health.note_retrying();
                self.sync.poll_soon(now);
                self.problem(
                    None,
                    "realtime_refused",
                    "unable to join the live channel; because the server refused it",
                );
            }
            Event::MaybeGap { .. } => self.sync.all_due(),
            Event::Broadcast { event, payload, .. } => match event.as_str() {
                "message" => self.on_live_message(&payload),
                "receipt" => self.on_live_receipt(&payload),
                "members" => self.sync.members_changed(now),
                _ => {}
            },
            Event::TokenRejected => {
                if let Some(jwt) = self.session.token(now, &self.user_id).map(|token| token.jwt.clone()) {
                    self.session.rejected(now, &jwt);
                }
            }
        }
    }

    // ---- the page

    pub(super) fn on_page(&mut self, event: PageEvent) {
        let now = self.now.mono;
        match event {
            PageEvent::Online => {
                self.health.set_online(true);
                self.realtime.handle(now, realtime::Input::Online);
                self.wake();
            }
            PageEvent::Offline => {
                self.health.set_online(false);
                self.sync.set_live(now, false);
                self.realtime.handle(now, realtime::Input::Offline);
            }
            PageEvent::Hidden => {
                self.end_typing();
                self.set_visible(false);
                self.hurry_receipts();
                self.tell_status();
            }
            PageEvent::Visible => {
                self.set_visible(true);
                self.mark_shown();
                self.come_back();
            }
            PageEvent::Frozen | PageEvent::Leaving => {
                self.end_typing();
                self.away = Some(now + AWAY_MS);
                if self.phase == Phase::Running {
                    // Before anything that is written in farewell, as a lease that is given up.
                    self.effects.push_back(Effect::LetTransactionsGo);
                    if event == PageEvent::Leaving {
                        self.keepalive();
                        self.last_receipts();
                    }
                    // Who gives up a lease still has to say so.
                    let leases = self.leases;
                    self.step_aside();
                    if event == PageEvent::Leaving && !leases {
                        self.effects.push_back(Effect::LeaveTabs);
                    }
                }
            }
            PageEvent::Resumed | PageEvent::Shown { persisted: true } => self.come_back(),
            PageEvent::Shown { persisted: false } => {}
        }
    }

    fn set_visible(&mut self, visible: bool) {
        self.visible = visible;
        self.asked_to_yield &= !visible;
        self.watch.set_visible(self.now.mono, visible);
    }

    /// After sleep nothing that was remembered is believed.
    pub(super) fn come_back(&mut self) {
        self.away = None;
        self.realtime.handle(self.now.mono, realtime::Input::Woke);
        self.wake();
        if self.phase != Phase::Running {
            return;
        }
        self.join_tabs();
        if self.role.generation().is_some() {
            return self.beat();
        }
        self.read_anew();
        self.load_list();
        let signed_out = matches!(self.session.missing(), Some(Missing::SignedOut | Missing::OtherUser));
        if self.role == Role::Aside && !signed_out {
            self.queue_for_lead();
        } else if self.role.watches() {
            self.ask_leader();
        }
    }

    fn wake(&mut self) {
        self.session.renew();
        self.sync.all_due();
        self.rest_no_longer();
        self.sync.await_channel(self.now.mono);
        self.outbox.resume();
        self.unread = true;
    }

    // ---- the end

    pub(super) fn shutdown(&mut self, op: OperationId, discard: bool) {
        self.reject_waiting("client_closed", "unable to send; because the client was closed");
        let reloads = std::mem::take(&mut self.reloads);
        self.fail_reloads(reloads, "client_closed", "unable to load the messages; because the client was closed");
        self.refuse_history();
        self.closing = Some(Closing { op, discard, read: false, counted: self.user_id.is_empty() });
        self.refuse_acts();
        self.finish_closing();
    }

    /// What is unsent at the end is counted in the database, where other tabs write too.
    pub(super) fn last_read(&mut self, result: StoreResult) {
        let (Some(closing), Ok([Reply::List(records)])) = (&mut self.closing, result.as_deref()) else { return };
        closing.counted = true;
        let discard = closing.discard;
        let never_sent = self.outbox.never_sent();
        self.outbox.read_anew();
        self.take_rows(records);
        self.outbox.are_never_sent(&never_sent);
        if discard {
            let deletes = self.outbox.keys().into_iter();
            let deletes = deletes.map(|key| Operation::Delete { table: Table::Outbox, key: Key::Number(key) });
            self.store(Request::Discard, Transaction::strict(deletes.collect()));
        }
    }

    pub(super) fn discarded(&mut self, result: StoreResult) {
        if result.is_ok() {
            self.outbox.read_anew();
            self.outbox.read(Vec::new(), 0, false);
        }
    }

    /// The end comes when the last write of a message is decided.
    pub(super) fn finish_closing(&mut self) {
        let undecided = |purpose: &Request| {
            matches!(
                purpose,
                Request::Persist
                    | Request::Settle(_)
                    | Request::Discard
                    | Request::LastRead
                    | Request::GiveUpLease
                    | Request::Act { .. }
            )
        };
        let Some(closing) = &mut self.closing else { return };
        let waits = matches!(self.phase, Phase::Opening | Phase::Closed) || !self.accepting.is_empty();
        if waits || self.requests.values().any(undecided) {
            return;
        }
        if self.phase == Phase::Running && self.durable && !closing.read {
            closing.read = true;
            return self.store(Request::LastRead, Transaction::relaxed(vec![list_from(0)]));
        }
        let Closing { op, counted, .. } = *closing;
        let (unsent, maybe_sent) = (self.outbox.len(), self.outbox.maybe_sent());
        self.step_aside();
        if self.requests.values().any(undecided) {
            return;
        }
        self.realtime.stop(self.now.mono);
        while let Some(output) = self.realtime.poll_output() {
            self.effects.push_back(Effect::Socket(output));
        }
        self.phase = Phase::Closed;
        self.effects.push_back(Effect::CloseAll);
        if counted {
            self.done(op, fields! { "unsent": unsent, "maybe_sent": maybe_sent }.into());
        } else {
            self.fail(op, "storage_failed", UNCOUNTED);
        }
    }

    fn reject_waiting(&mut self, code: &str, message: &str) {
        for command in std::mem::take(&mut self.waiting) {
            if let Command::Send { op, .. } = command {
                self.fail(op, code, message);
            }
        }
    }
}
